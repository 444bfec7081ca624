// What the page knows. Only `stream.js` and answers of the server change it; views are functions of it.

export const S = {
  link: 'connecting',            // connecting, live, stale
  heard: performance.now(),      // when the last frame came; the clock of staleness starts with the page
  there: false,                  // whether the console reaches its engine
  engine: null, lot: null, map: null, sum: null, trend: [], alarms: [], swept: new Map(),
  session: { person: null, actions: {} },
  view: 'jobs', dialog: null, said: null, mapView: 'last', only: 0, hard: false,
};

let painter = () => {};
export const paint = () => painter();
export const painted = (by) => { painter = by; };

// Settings are of this screen; whoever logs in may bring others.
const asked = new URLSearchParams(location.search);
export const setting = (name, otherwise) => asked.get(name) || localStorage.getItem(`hardbin.${name}`) || otherwise;
export const set = (name, value) => { asked.delete(name); localStorage.setItem(`hardbin.${name}`, value); };

export const live = () => S.link === 'live' && S.there;
export const bin = (number) => S.lot?.bins.find((one) => one.number === number);
export const open = () => S.alarms.filter((one) => (one.active || !one.acknowledged) && !(one.shelved_until > (S.sum?.at ?? 0)));

const ORDER = { high: 0, medium: 1, low: 2 };
export const worst = (alarms) => alarms.toSorted((a, b) =>
  (!!a.acknowledged - !!b.acknowledged) || ORDER[a.priority] - ORDER[b.priority] || b.at - a.at)[0];

let sayingUntil = 0;
export function say(kind, text) {
  S.said = { kind, text };
  sayingUntil = performance.now() + 8000;
  paint();
}
export function hush() {
  if (S.said && performance.now() > sayingUntil) { S.said = null; paint(); }
}
