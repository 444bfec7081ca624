// What is asked of the server once in a while: the last answer of each path, and when it was asked.
import { S, paint } from './model.js';

const asked = new Map();

// Returns the last answer, null while there is none; asks again if that is older than `seconds`.
export function looked(path, seconds = 5) {
  const one = asked.get(path) ?? { at: -Infinity, found: null, lot: null };
  if (one.lot !== (S.lot?.lot ?? '')) { one.found = null; one.at = -Infinity; one.lot = S.lot?.lot ?? ''; }
  asked.set(path, one);
  if (performance.now() - one.at > seconds * 1000) {
    one.at = performance.now();
    fetch(`api/v1/${path}`).then(async (answer) => { one.found = await answer.json(); paint(); }).catch(() => {});
  }
  return one.found;
}
export const again = (path) => { asked.delete(path); paint(); };
