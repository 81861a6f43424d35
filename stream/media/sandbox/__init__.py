"""Sandbox: recordings of strangers are opened, parsed and decoded in a process of their own.

sandboxed_source  here: `FileSource` over pictures that come from the child
child             there: opens, reads through, decodes; sends planes through shared memory
sandboxed_sound   here: `SoundSource` over samples that come from its child, sound_child
spawn             how a child is started: forked from a template, which has imported what it needs
shared_planes     how a picture lies in a slot of that memory
chroma            where the colour samples of a picture lie
sandbox_protocol  the messages between the two processes
confine           what the child may not do
"""
