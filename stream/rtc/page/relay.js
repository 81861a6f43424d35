// The page of the relay: sends the camera, shows what comes back, and lets its owner steer.
// In the address, behind #: token=SECRET, size=640x480, framing=fixed, watch=NAME.
"use strict";

const $ = (id) => document.getElementById(id);
const wishes = new URLSearchParams(location.hash.slice(1));
const sliders = [...document.querySelectorAll(".slider input")];
const GATHER_MS = 1000;
const NOTE_MS = 5000;
const CONNECT_MS = 15000;
const RETRY_MS = 2000;
const GIVE_UP_MS = 60000;
const FROZEN_MS = 1000;
const RESTART_MS = 2000;
const LATE_SOUND_MS = 400;
const NO_WAY = "No connection came about: is UDP blocked between this browser and the relay? It may need a TURN server.";
const call = { pc: null, channel: null, place: null, local: null, remote: new MediaStream(), figures: {}, closeups: {} };
window.closeup = call;
call.freshness = new Freshness($("enhanced"), $("cover"));
// By this the relay knows the same page again, and hands back what it remembers of its people.
const secret = [...crypto.getRandomValues(new Uint8Array(16))].map((one) => one.toString(16).padStart(2, "0")).join("");

function headers(more) {
  const token = $("token").value || wishes.get("token");
  return token ? { ...more, Authorization: `Bearer ${token}` } : { ...more };
}

function tell(wish) {
  if (call.channel?.readyState === "open") call.channel.send(JSON.stringify(wish));
}

function state(text, live = false) {
  $("state").textContent = text;
  $("state").classList.toggle("live", live);
}

async function openCamera() {
  const [width, height] = (wishes.get("size") || "1280x720").split("x").map(Number);
  const video = { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: 30 } };
  try {
    return await navigator.mediaDevices.getUserMedia({ video, audio: true });
  } catch (error) {
    if (error.name !== "NotFoundError" && error.name !== "NotReadableError") throw error;
    return navigator.mediaDevices.getUserMedia({ video }); // no microphone, or it is busy
  }
}

async function start() {
  $("problem").textContent = "";
  const watch = wishes.get("watch");
  try {
    if (!watch) {
      if (!navigator.mediaDevices) throw new Error("the browser gives a camera to https pages only");
      call.local = await openCamera();
      $("camera").srcObject = call.local;
    }
    await connect(watch ? `whep/${encodeURIComponent(watch)}` : `call/${secret}`);
  } catch (error) {
    $("ask").hidden = !/token/.test(error.message);
    await stop("not connected", error.name === "NotAllowedError" ? "The camera was not allowed." : error.message);
    return;
  }
  $("welcome").hidden = true;
  $("controls").inert = false;
  for (const part of [...sliders, $("compare")]) part.disabled = Boolean(watch);
}

async function connect(endpoint) {
  const asked = await fetch(endpoint, { method: "OPTIONS", headers: headers() });
  const pc = new RTCPeerConnection({ iceServers: iceServers(asked.headers.get("Link") || "") });
  call.pc = pc;
  call.remote = new MediaStream();
  call.closeups = {};
  $("enhanced").srcObject = call.remote;
  call.freshness.begin();
  pc.ontrack = ({ track }) => call.remote.addTrack(track);
  pc.onconnectionstatechange = () => {
    if (pc !== call.pc) return;
    if (pc.connectionState === "connected") {
      call.connected = true;
      clearTimeout(call.limit);
      state("connected", true);
    }
    if (pc.connectionState === "disconnected") {
      state("no network; waiting for it …");
      restart(pc);
    }
    if (pc.connectionState === "failed") call.connected ? reconnect(endpoint) : stop("not connected", NO_WAY);
  };
  clearTimeout(call.limit);
  call.limit = setTimeout(() => {
    if (pc !== call.pc || pc.connectionState === "connected") return;
    call.connected ? reconnect(endpoint) : stop("not connected", NO_WAY);
  }, CONNECT_MS + GATHER_MS);
  if (call.local) {
    for (const track of call.local.getTracks()) pc.addTrack(track, call.local);
    call.channel = pc.createDataChannel("closeup");
    call.channel.onmessage = ({ data }) => hear(JSON.parse(data));
    call.channel.onopen = steer;
    call.channel.onclose = () => { if (pc === call.pc) stop("the relay ended the call"); };
  } else {
    for (const kind of ["video", "audio"]) pc.addTransceiver(kind, { direction: "recvonly" });
  }
  await pc.setLocalDescription();
  await gathered(pc);
  state("connecting …");
  const answer = await fetch(endpoint, {
    method: "POST", headers: headers({ "Content-Type": "application/sdp" }), body: pc.localDescription.sdp,
  });
  const text = await answer.text();
  if (answer.status !== 201) throw new Error(text || `the relay answered ${answer.status}`);
  call.place = new URL(answer.headers.get("Location"), location.href).href;
  await pc.setRemoteDescription({ type: "answer", sdp: text });
  for (const sender of pc.getSenders()) {
    if (sender.track?.kind !== "video") continue;
    // A far face has no pixels to give away: rather fewer pictures than smaller ones.
    const parameters = sender.getParameters();
    parameters.degradationPreference = "maintain-resolution";
    await sender.setParameters(parameters).catch(() => {});
  }
  clearInterval(call.timer);
  call.timer = setInterval(measure, 500);
}

// After an outage: the connection may come back by itself, with all that the relay remembers; else a new one.
async function reconnect(endpoint) {
  if (call.reconnecting) return;
  const { local, number } = call;
  const ours = () => call.number === number;
  const back = () => call.pc?.connectionState === "connected";
  let problem = "the relay cannot be reached";
  call.reconnecting = true;
  for (const end = performance.now() + GIVE_UP_MS; ours() && !back() && performance.now() < end;) {
    state("reconnecting …");
    await pause(RETRY_MS);
    if (!ours() || back() || !(await fetch("health").catch(() => null))?.ok) continue;
    await pause(RETRY_MS);
    if (!ours() || back()) continue;
    const { pc, place } = call;
    call.channel = call.pc = null;
    pc?.close();
    // A call's new offer takes over the old session; who watches has none to take over.
    if (place && !local) fetch(place, { method: "DELETE", headers: headers() }).catch(() => {});
    try {
      await connect(endpoint);
      for (let waited = 0; ours() && !back() && waited < CONNECT_MS; waited += 200) await pause(200);
    } catch (error) {
      problem = error.message;
    }
  }
  call.reconnecting = false;
  if (ours() && !back()) await stop("not connected", `The connection was lost: ${problem}.`);
  if (!ours() && local !== call.local) local?.getTracks().forEach((track) => track.stop());
}

// The network may have changed: the same call by another way (ICE restart, RFC 9725), as often as it takes.
async function restart(pc) {
  const waits = () => pc === call.pc && pc.connectionState === "disconnected";
  await pause(RESTART_MS);
  while (waits()) {
    try {
      await pc.setLocalDescription(await pc.createOffer({ iceRestart: true }));
      await gathered(pc);
      const answer = await fetch(call.place, {
        method: "PATCH",
        headers: headers({ "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": "*" }),
        body: fragment(pc.localDescription.sdp),
        signal: AbortSignal.timeout(2 * RESTART_MS),
      });
      if (answer.status !== 200) throw new Error(`the relay answered ${answer.status}`);
      await pc.setRemoteDescription({ type: "answer", sdp: merged(pc.remoteDescription.sdp, await answer.text()) });
    } catch (error) {
      if (pc.signalingState === "have-local-offer") await pc.setLocalDescription({ type: "rollback" }).catch(() => {});
    }
    await pause(2 * RESTART_MS);
  }
}

// The part of an offer that ICE needs (RFC 8840).
function fragment(sdp) {
  const first = sdp.slice(sdp.indexOf("\nm=") + 1).split(/\nm=/)[0];
  const wanted = /^(m=|a=(mid|ice-ufrag|ice-pwd|candidate|end-of-candidates))/;
  return `${first.split(/\r?\n/).filter((line) => wanted.test(line)).join("\r\n")}\r\n`;
}

// The answer of before with the relay's new name, password and addresses.
function merged(sdp, part) {
  const lines = part.split(/\r?\n/);
  const fresh = lines.filter((line) => /^a=(ice-ufrag|ice-pwd|candidate)/.test(line));
  const old = sdp.split(/\r?\n/).filter((line) => !/^a=(ice-ufrag|ice-pwd|candidate|end-of-candidates)/.test(line));
  return old.map((line) => (/^a=mid:/.test(line) ? [line, ...fresh].join("\r\n") : line)).join("\r\n");
}

function pause(ms) {
  return new Promise((done) => { setTimeout(done, ms); });
}

function iceServers(links) {
  const found = links.matchAll(/<([^>]+)>; rel="ice-server"(?:; username="([^"]*)"; credential="([^"]*)")?/g);
  return [...found].map(([, urls, username, credential]) => (username ? { urls, username, credential } : { urls }));
}

function gathered(pc) {
  if (pc.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((done) => {
    pc.addEventListener("icegatheringstatechange", () => pc.iceGatheringState === "complete" && done());
    setTimeout(done, GATHER_MS);
  });
}

async function stop(reason = "not connected", problem = "") {
  const { pc, place, local } = call;
  Object.assign(call, { pc: null, channel: null, place: null, local: null, figures: {}, connected: false });
  call.number = (call.number ?? 0) + 1;
  clearInterval(call.timer);
  clearTimeout(call.limit);
  $("stage").classList.remove("frozen");
  $("problem").textContent = problem;
  pc?.close();
  local?.getTracks().forEach((track) => track.stop());
  $("enhanced").srcObject = $("camera").srcObject = null;
  call.freshness.begin();
  compare(false);
  $("closeups").replaceChildren();
  call.closeups = {};
  $("memory").hidden = true;
  $("welcome").hidden = false;
  $("controls").inert = true;
  for (const id of ["why", "fps", "trip", "delay", "size", "wait"]) $(id).textContent = "–";
  state(reason);
  if (place) await fetch(place, { method: "DELETE", headers: headers(), keepalive: true }).catch(() => {});
}

function steer() {
  const chosen = sliders.map((one) => [one.id, Number(one.value)]);
  tell({ ...Object.fromEntries(chosen), framing: document.querySelector("[name=framing]:checked").value });
}

function hear(message) {
  if (message.note) {
    clearTimeout(call.noted);
    call.noted = setTimeout(() => call.pc?.connectionState === "connected" && state("connected", true), NOTE_MS);
    return state(message.note, true);
  }
  if (message.closeups) {
    const known = { ...call.closeups, ...message.pictures };
    call.closeups = Object.fromEntries(message.closeups.map((number) => [number, known[number]]));
    const shown = message.closeups.map((number) => Object.assign(new Image(), { src: known[number] }));
    $("closeups").replaceChildren(...shown);
    $("memory").hidden = !message.closeups.length;
    return undefined;
  }
  call.figures = message;
  const { faces, enhanced, why, view, delay_ms, sound_wait_ms, quality, learning } = message;
  $("why").textContent = enhanced ? `yes, ${enhanced} of ${faces} ${faces === 1 ? "face" : "faces"}` : `no: ${why}`;
  $("why").title = quality;
  $("why").classList.toggle("good", enhanced > 0);
  $("delay").textContent = `${delay_ms.toFixed(0)} ms`;
  $("learns").hidden = !learning;
  $("learning").textContent = learning;
  $("wait").textContent = sound_wait_ms ? `${sound_wait_ms.toFixed(0)} ms` : "no";
  // The camera's picture is shown as the relay frames it, so that both sides of the line match.
  const [left, top, right] = view;
  const zoom = 1 / (right - left);
  $("camera").style.transform = `scale(${zoom}) translate(${-100 * left}%, ${-100 * top}%)`;
  return undefined;
}

async function measure() {
  const { pc } = call;
  if (!pc) return;
  let network, buffer, sound;
  for (const one of (await pc.getStats()).values()) {
    if (one.type === "candidate-pair" && one.nominated && one.currentRoundTripTime !== undefined) {
      network = 1000 * one.currentRoundTripTime;
    }
    if (one.type === "inbound-rtp" && one.kind === "audio") sound = one;
    if (one.type === "inbound-rtp" && one.kind === "video") {
      $("fps").textContent = one.framesPerSecond ?? "–";
      $("size").textContent = one.frameWidth ? `${one.frameWidth} × ${one.frameHeight}` : "–";
      if (one.frameWidth) $("stage").style.aspectRatio = `${one.frameWidth} / ${one.frameHeight}`;
      if (one.framesDecoded !== call.decoded) Object.assign(call, { decoded: one.framesDecoded, decodedAt: performance.now() });
      const still = call.freshness.still ?? performance.now() - call.decodedAt;
      $("stage").classList.toggle("frozen", call.decoded > 0 && still > FROZEN_MS);
      const waited = one.jitterBufferDelay - (call.waited ?? 0);
      const shown = one.jitterBufferEmittedCount - (call.shown ?? 0);
      Object.assign(call, { waited: one.jitterBufferDelay, shown: one.jitterBufferEmittedCount });
      if (shown > 0) buffer = (1000 * waited) / shown;
    }
  }
  tellSound(sound);
  if (network !== undefined && buffer !== undefined) {
    const trip = network + buffer + (call.figures.delay_ms ?? 0);
    $("trip").textContent = `${trip.toFixed(0)} ms`;
  }
}

// After a queue browsers stay late with sound: the relay leaves out what is too much.
function tellSound(sound) {
  const before = call.sound;
  call.sound = sound;
  const played = sound?.jitterBufferEmittedCount - before?.jitterBufferEmittedCount;
  if (!(played > 0)) return;
  const [held, wanted] = ["jitterBufferDelay", "jitterBufferTargetDelay"].map((name) => (1000 * (sound[name] - before[name])) / played);
  if (held > LATE_SOUND_MS) tell({ sound_held_ms: held, sound_wanted_ms: wanted });
}

function compare(on) {
  $("compare").setAttribute("aria-pressed", on);
  for (const part of [$("before"), $("line"), ...document.querySelectorAll(".tag")]) part.hidden = !on;
}

function split(part) {
  const percent = 100 * Math.min(1, Math.max(0, part));
  $("stage").style.setProperty("--split", `${percent}%`);
  $("line").setAttribute("aria-valuenow", Math.round(percent));
}

$("welcome").addEventListener("submit", (event) => { event.preventDefault(); start(); });
$("stop").addEventListener("click", () => stop());
$("forget").addEventListener("click", () => tell({ forget: true }));
$("compare").addEventListener("click", () => compare($("before").hidden));
$("listen").addEventListener("click", () => {
  const on = $("enhanced").muted;
  $("enhanced").muted = !on;
  $("listen").setAttribute("aria-pressed", on);
});
for (const slider of sliders) {
  slider.addEventListener("input", () => {
    slider.nextElementSibling.textContent = `${Math.round(100 * slider.value)} %`;
    tell({ [slider.id]: Number(slider.value) });
  });
}
for (const choice of document.querySelectorAll("[name=framing]")) {
  if (wishes.has("framing")) choice.checked = choice.value === wishes.get("framing");
  choice.addEventListener("change", () => tell({ framing: choice.value }));
}
$("line").addEventListener("pointerdown", (event) => $("line").setPointerCapture(event.pointerId));
$("line").addEventListener("pointermove", (event) => {
  if (!$("line").hasPointerCapture(event.pointerId)) return;
  const box = $("stage").getBoundingClientRect();
  split((event.clientX - box.left) / box.width);
});
$("line").addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -2, ArrowRight: 2 }[event.key];
  if (step) split((Number($("line").getAttribute("aria-valuenow") ?? 50) + step) / 100);
});
window.addEventListener("pagehide", () => { if (call.pc) stop(); });
if (wishes.get("watch")) document.querySelector("#welcome button").textContent = "Watch";
split(0.5);
