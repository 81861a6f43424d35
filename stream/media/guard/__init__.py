"""Guard: recordings of strangers are taken apart in a process of their own.

source   here: `FileSource` over pictures that come from the child
child    there: opens, looks through, decodes; sends planes through shared memory
planes   how a picture lies in a slot of that memory
words    what the two say to each other
confine  what the child may not do
"""
