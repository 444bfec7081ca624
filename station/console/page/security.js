// The people of the station, their ledger, and acts that take two persons.
import { html, nothing } from './vendor/lit-html.js';
import { S, say } from './model.js';
import { t, num, when } from './words.js';
import { looked, again, later } from './lookup.js';
import { choice, input } from './fields.js';
import { post, another } from './commands.js';
import { keys, shown, made } from './keys.js';
import { ask, close } from './dialogs.js';
import { pin } from './several.js';

const ROLES = ['operator', 'technician', 'engineer', 'security-officer', 'auditor'];
const refused = (id, one) => say('refused', t('said.refused', { command: t(id), code: t(`code.${one.code}`), reason: one.reason }));
const failed = (id, error) => refused(id, { code: 'failed', reason: String(error.message ?? error) });

// -- dual control: the first person says what, the second sees exactly that and consents; the digest is on both screens
export const DUAL = {
  act: {
    body: (v) => html`${choice(t('act.do'), ['add', 'roles', 'renew'].map((one) => [one, t(`act.${one}`)]), v.do ??= 'add', (one) => { v.do = one; })}${input('name', 'text', v.name, (x) => { v.name = x; }, { most: 64 })}
      ${v.do === 'renew' ? nothing : choice(t('act.roles'), ROLES.map((one) => [one, t(`role.${one}`)]), v.roles ??= new Set())}<p>${t('act.first')}</p>${pin(v)}`,
    fault: (v) => (!(v.name ?? '').trim() || (v.do !== 'renew' && !v.roles?.size) ? t('act.what') : v.badge && v.pin ? '' : t('dialog.fault.login')),
    act: async (v) => {
      const one = await post('acts', { do: v.do, name: v.name.trim(), roles: v.do === 'renew' ? [] : [...v.roles], badge: v.badge, pin: v.pin });
      if (one.code) refused('dialog.act.title', one); else ask('second', one);
    },
  },
  second: {
    body: (v) => html`<p class="digest" data-digest=${v.digest}>${v.short}</p><dl><dt>${t('act.do')}</dt><dd>${t(title(v))}</dd><dt>${t(v.act.parameters.said ? 'strip.lot' : 'dialog.name')}</dt><dd>${v.act.target}</dd>${told(v.act.parameters.said)}
      ${v.act.parameters.roles ? html`<dt>${t('act.roles')}</dt><dd>${v.act.parameters.roles.map((one) => t(`role.${one}`)).join(', ')}</dd>` : nothing}<dt>${t('act.until')}</dt><dd>${new Date(v.act.expires_at * 1000).toLocaleTimeString('sv-SE')}</dd></dl>
      <p>${t('act.second')}</p>${pin(v)}${keys() ? html`<button class="acts" data-key @click=${() => { close(); byKey(v); }}>${t('key.use')}</button>` : nothing}`,
    fault: (v) => (v.badge && v.pin ? '' : t('dialog.fault.login')),
    act: (v) => approve(v, { badge: v.badge, pin: v.pin }),
    dismissed: (v) => say('info', t('act.waits', { short: v.short })),
  },
  done: { body: (v) => html`<p>${t('act.code')}</p><p class="digest" data-code>${v.code}</p>`, fault: () => '', act: () => {} },
};
const title = (v) => (v.act.parameters.said ? `command.${v.act.action}` : `act.${v.act.parameters.do}`);
const words = (value) => (Array.isArray(value) ? value.join(', ') : value && typeof value === 'object' ? Object.entries(value).map(([one, what]) => `${one}: ${what}`).join(', ') : String(value));
const told = (said) => Object.entries(said ?? {}).filter(([, value]) => words(value)).map(([name, value]) => html`<dt>${t(`said.${name}`)}</dt><dd>${words(value)}</dd>`);

async function approve(v, proof) {
  const one = await post(`acts/${v.digest}/approve`, proof);
  const what = v.act.parameters.said ? title(v) : 'dialog.act.title';
  if (!one.ok) return refused(v.act.parameters.said ? what : 'dialog.second.title', one);
  say('done', t('said.done', { command: t(what) }));
  again('people');
  if (one.told) ask('done', { code: one.told });
}
async function byKey(v) {
  try {
    const one = await shown(`acts/${v.digest}/question`);
    if (one.refused) refused('dialog.second.title', one.refused); else await approve(v, { key: one.key });
  } catch (error) { failed('dialog.second.title', error); }
}

// -- keys
export async function enterByKey() {
  try {
    const one = await shown('session/greeting'), receipt = one.refused ?? await post('session', { key: one.key });
    await another();
    if (!receipt.ok) refused('dialog.login.title', receipt);
  } catch (error) { failed('dialog.login.title', error); }
}
async function addKey() {
  try {
    const receipt = await made();
    if (receipt.ok) say('done', t('said.done', { command: t('key.add') })); else refused('key.add', receipt);
  } catch (error) { failed('key.add', error); }
}

const fact = (id, value) => html`<dt>${t(`quota.${id}`)}</dt><dd data-quota=${id}>${value}</dd>`;
function quota() {
  const one = S.sum.quota, sealed = one && one.sealed + (S.sum.balance.sealed ?? 0);
  return html`<h2>${t('quota.title')}</h2>${one ? html`<dl class="header">${fact('order', one.order)}${fact('product', one.product)}${fact('key_set', one.key_set)}${fact('until', when(new Date(one.not_after * 1000)))}${fact('quantity', num(one.quantity))}${fact('sealed', num(sealed))}${fact('left', num(Math.max(0, one.quantity - sealed)))}${fact('begun', `${num(one.begun)} / ${num(one.begun_max)}`)}</dl>
    <progress max=${one.quantity} .value=${sealed} aria-label=${t('quota.sealed')}></progress>` : html`<p>${t('quota.none')}</p>`}`;
}
function evidence() {
  const found = looked('evidence', 10), all = Array.isArray(found) ? found : [];
  return html`<h2>${t('evidence.title')}</h2>${all.length ? html`<table data-table="evidence"><thead><tr><th scope="col" class="name">${t('strip.lot')}</th><th scope="col" class="name">${t('strip.state')}</th><th scope="col">${t('lot.at')}</th><th scope="col">kB</th><th scope="col" class="name">SHA-256</th></tr></thead>
    <tbody>${all.map((one) => html`<tr data-evidence=${one.lot}><th scope="row" class="name">${one.lot}</th><td class="name">${one.state ? t(`state.${one.state}`) : '–'}</td><td>${when(new Date(one.at * 1000))}</td><td>${one.size ? num(Math.ceil(one.size / 1000)) : '–'}</td><td class="name"><code>${one.sha256 || t('evidence.none')}</code></td></tr>`)}</tbody></table>` : html`<p>${t('evidence.no_lot')}</p>`}`;
}

const releases = later(() => import('./releases.js'), 'releases');

export function security() {
  const found = S.session.logs_in && S.session.person ? looked('people', 10) : null;
  return html`<section tabindex="0" role="region" aria-label=${t('view.security')} class="scroll sheet"><h2>${t('security.people')}</h2>
    ${!S.session.logs_in ? html`<p>${t('security.one')}</p>` : !S.session.person ? html`<p>${t('why.login')}</p>` : found?.people ? html`<table data-table="people"><thead><tr><th scope="col" class="name">${t('dialog.name')}</th><th scope="col" class="name">${t('act.roles')}</th><th scope="col">${t('security.state')}</th></tr></thead>
      <tbody>${found.people.map((one) => html`<tr><th scope="row" class="name">${one.name}</th><td class="name">${one.roles.map((role) => t(`role.${role}`)).join(', ')}</td><td>${t(`account.${one.state}`)}</td></tr>`)}</tbody></table>
      <h2>${t('security.ledger')}</h2><dl class="header"><dt>${t('security.entries')}</dt><dd>${num(found.ledger.size)}</dd><dt>${t('security.root')}</dt><dd><code data-root>${found.ledger.root}</code></dd></dl>
      <p class="search"><button class="acts" data-act @click=${() => ask('act')}>${t('dialog.act.title')}…</button>${keys() ? html`<button class="acts" data-add-key @click=${addKey}>${t('key.add')}</button>` : nothing}</p>` : nothing}${quota()}${releases()}${evidence()}</section>`;
}
