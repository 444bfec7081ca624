// Commands and why one may not be pressed now. The cell judges; this only says it beforehand.
import { S, say, paint, live } from './model.js';
import { t } from './words.js';

const busy = new Set();
export const loading = () => S.sum.state === 'LOADING' || busy.has('lot.load') || busy.has('study.load');

export function objection(name, what = name) {
  const right = S.session.actions[name];
  if (!live()) return S.link === 'live' ? t('why.engine_away') : t('why.stale');
  if (!right?.may) return S.session.person ? t('why.role', { roles: right.who.map((role) => t(`role.${role}`)).join(', ') }) : t('why.login');
  if (name === 'lot.load' && !S.engine?.more_lots) return t('why.one_lot');
  if (right.states.length && !S.sum.legal.includes(name)) return t('why.state', { state: t(`state.${S.sum.state}`), states: right.states.map((state) => t(`state.${state}`)).join(', ') });
  if (busy.has(what)) return t('why.busy');
  return '';
}

export async function post(path, body, key) {
  const headers = { 'Content-Type': 'application/json' };
  if (key) headers['Idempotency-Key'] = key;
  try {
    const answer = await fetch(`api/v1/${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    return await answer.json();
  } catch {
    return { ok: false, code: 'engine_away', reason: '' };
  }
}

export async function send(name, body = {}) {
  const what = name + (body.alarm ?? ''), why = objection(name, what);
  if (why) return say('info', why);
  busy.add(what);
  paint();
  const key = [...crypto.getRandomValues(new Uint8Array(12))].map((octet) => octet.toString(16).padStart(2, '0')).join('');
  const receipt = await post(`commands/${name}`, body, key);
  busy.delete(what);
  if (receipt.ok) say('done', t('said.done', { command: t(`command.${name}`) }));
  else say('refused', t('said.refused', { command: t(`command.${name}`), code: t(`code.${receipt.code}`), reason: receipt.reason }));
  return receipt;
}

export const acknowledge = (alarm) => send('alarm.ack', { alarm });

export async function session(touched = false) {
  S.session = await (await fetch(`api/v1/session${touched ? '?touched=1' : ''}`)).json();
  paint();
}

const tabs = new BroadcastChannel('session');      // they have the same session
tabs.onmessage = () => session().catch(() => {});
export async function another() {
  await session();
  tabs.postMessage('');
}

export async function enter(badge, pin) {
  const receipt = await post('session', { badge, pin });
  await another();
  if (!receipt.ok) say('refused', t('said.refused', { command: t('dialog.login.title'), code: t(`code.${receipt.code}`), reason: receipt.reason }));
}

export async function leave() {
  await post('session/end', {});
  await another();
}
