// Subscribe first, buffer, then fetch state and map, then go on with what is newer: nothing is missed.
import { S, paint } from './model.js';

const STALE_MS = 3000;
export const M = window.hardbin = { frames: 0, dies: 0, bytes: 0, gaps: 0, resyncs: 0, hellos: 0, late: [] };
let map, epoch = 0, seq = -1, syncing = null, waiting = [], dirty = true, stamps = [];

export function follow(wafer) {
  map = wafer;
  const events = new EventSource('api/v1/events');
  events.addEventListener('hello', () => { M.hellos += 1; waiting = []; resync(); });
  events.onmessage = (message) => take(message.data);
  setInterval(() => { if (performance.now() - S.heard > STALE_MS && S.link !== 'stale') { S.link = 'stale'; paint(); } }, 250);
  requestAnimationFrame(draw);
}

function take(text) {
  const frame = JSON.parse(text);
  M.frames += 1; M.bytes += text.length;
  if (syncing) waiting.push(frame); else apply(frame);
}

export function apply(frame) {
  if (frame.gap || frame.epoch !== epoch) return void resync();
  const dies = frame.dies ?? [], from = frame.seq - dies.length;
  if (from > seq) { M.gaps += 1; return void resync(); }
  heard(frame.there ?? true);
  for (const die of dies.slice(seq - from)) {
    const [x, y, last, site, first, at] = die;
    map.put(x, y, last, first, site);
    stamps.push(at);
    M.dies += 1;
  }
  seq = Math.max(seq, frame.seq);
  if (frame.sum) { S.sum = frame.sum; map.contact = frame.sum.contact; dirty = true; }
  if (frame.trend) { const last = S.trend.at(-1)?.[0] ?? 0; S.trend.push(...frame.trend.filter((one) => one[0] > last)); dirty = true; }
  if (frame.swept) { swept(frame.swept); dirty = true; }
  if (frame.alarms) { S.alarms = frame.alarms; dirty = true; }
}

function swept(points) {
  for (const point of points) {
    const kept = S.swept.get(point[0]);
    if (kept?.[0]?.[1] !== point[1]) S.swept.set(point[0], [point]);
    else if (!kept.some((one) => one[2] === point[2] && one[3] === point[3])) kept.push(point);
  }
}

function heard(there) {
  S.heard = performance.now();
  if (S.link !== 'live' || S.there !== there) { S.link = 'live'; S.there = there; dirty = true; }
}

const resync = () => (syncing ??= fetched().catch(() => new Promise((again) => setTimeout(again, 500))).finally(() => {
  syncing = null;
  const frames = waiting;
  waiting = [];
  for (const frame of frames) if (syncing) waiting.push(frame); else apply(frame);
}));

async function fetched() {
  M.resyncs += 1;
  for (;;) {
    const answer = await fetch('api/v1/map'), octets = new Uint8Array(await answer.arrayBuffer());
    const state = await (await fetch('api/v1/state')).json();
    if (Number(answer.headers.get('X-Epoch')) !== state.epoch) continue;   // another map came in between
    epoch = state.epoch;
    seq = Number(answer.headers.get('X-Seq'));
    Object.assign(S, { engine: state.engine, lot: state.lot, map: state.map, sum: state.sum, trend: state.trend, alarms: state.alarms });
    S.swept = new Map();
    swept(state.swept);
    map.load(state.map, octets, state.lot?.bins ?? []);
    map.contact = state.sum.contact;
    heard(state.there);
    M.seq = seq;
    return;
  }
}

// The map is drawn as often as the screen allows, texts five times a second.
let textsAt = 0;
const drawn = new MessageChannel();
let inFlight = [];
drawn.port1.onmessage = () => {
  const now = Date.now();
  for (const at of inFlight) M.late.push(now - at);
  if (M.late.length > 50000) M.late.splice(0, 25000);
  inFlight = [];
};
function draw(now) {
  map.draw();
  if (dirty && now - textsAt > 190) { dirty = false; textsAt = now; paint(); }
  if (stamps.length) { inFlight.push(...stamps); stamps = []; drawn.port2.postMessage(0); }
  M.seq = seq;
  requestAnimationFrame(draw);
}
