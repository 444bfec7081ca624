// What is asked of the server once in a while: the last answer of each path, and when it was asked.
import { nothing } from './vendor/lit-html.js';
import { S, paint, live } from './model.js';

const asked = new Map(), MOST = 40, LATE_S = 5;
let oldest = 0;                         // when the oldest answer came that is shown and should be newer; 0: none

// Returns the last answer, null while there is none; asks again if that is older than `seconds`.
export function looked(path, seconds = 5) {
  const one = asked.get(path) ?? { at: -Infinity, found: null, lot: null };
  if (one.lot !== (S.lot?.lot ?? '')) { one.found = null; one.at = -Infinity; one.lot = S.lot?.lot ?? ''; }
  asked.delete(path); asked.set(path, one);           // the last one asked for is the last one that goes
  if (asked.size > MOST) asked.delete(asked.keys().next().value);
  if (performance.now() - one.at > seconds * 1000) {
    one.at = performance.now();
    fetch(`api/v1/${path}`).then(async (answer) => { one.found = await answer.json(); one.came = performance.now(); paint(); }).catch(() => {});
  }
  const late = !live() || performance.now() - one.came > (seconds + LATE_S) * 1000;
  if (one.found && late) oldest = Math.min(oldest || Infinity, one.came);
  return one.found;
}
// When the oldest came of what `show` takes and what should be newer; null while there is nothing of the kind.
export function since(show) {
  oldest = S.link === 'stale' ? S.heard : 0;
  show();
  return oldest ? new Date(performance.timeOrigin + oldest) : null;
}
export const forget = (begins) => { for (const path of [...asked.keys()]) if (path.startsWith(begins)) asked.delete(path); paint(); };
export const again = (path) => { asked.delete(path); paint(); };

// A part of the page that is loaded when it is first looked at, and asked for again if it did not come.
export function later(load, name) {
  let view = null;
  return () => (view ??= load().then((one) => { view = one[name]; paint(); }, () => { view = null; }) && (() => nothing))();
}
