// Title, command and navigation panel: always there, whatever the view.
import { html, nothing } from './vendor/lit-html.js';
import { S, paint, say, open, worst, live } from './model.js';
import { t, when, because } from './words.js';
import { objection, send, acknowledge, loading } from './commands.js';
import { ask } from './dialogs.js';

// -- title
function message() {
  if (S.link !== 'live') return { kind: 'alarm', text: t(S.link === 'stale' ? 'link.stale' : 'link.connecting'), mark: '▲' };
  if (!S.there) return { kind: 'alarm', text: t('link.engine_away'), mark: '▲' };
  if (loading()) return { kind: '', text: t('said.loading'), mark: 'ℹ' };
  if (S.said) return { kind: S.said.kind === 'refused' ? 'caution' : '', text: S.said.text, mark: S.said.kind === 'refused' ? '◆' : 'ℹ' };
  const alarm = worst(open());
  if (!alarm) return { kind: '', text: S.sum.reason || t('link.no_alarms'), mark: '' };
  return { kind: alarm.priority === 'high' ? 'alarm' : 'caution', text: `${t(`alarm.${alarm.code}`, { n: alarm.site })} — ${alarm.reason}`, mark: alarm.priority === 'high' ? '▲' : '◆', waits: !alarm.acknowledged };
}

const dot = (on, label) => html`<span><span class="dot ${on ? 'on' : 'off'}" aria-hidden="true">${on ? '' : '×'}</span>${label}</span>`;

export function title(old) {
  const said = message(), engine = S.engine, who = S.session.person;
  return html`
    <div class="host">${dot(live(), engine ? engine.station : t('title.no_engine'))}${dot(S.link === 'live', t(S.link === 'live' ? 'title.online' : 'title.offline'))}</div>
    <div class="clock"><time>${when(new Date())}</time><h1>${t(`view.${S.view}`)}</h1>${old ? html`<b data-old>◆ ${t('title.old', { at: when(old) })}</b>` : nothing}</div>
    <div class="message ${said.kind} ${said.waits ? 'waits' : ''}" role="status" aria-live=${said.kind === 'alarm' ? 'assertive' : 'polite'}><span class="mark" aria-hidden="true">${said.mark}</span><span>${said.text}</span></div>
    <button class="e10" data-e10 title=${because(S.sum.e10_reason)} @click=${press('e10.set', () => ask('e10'))}><small>${t(`e10.${S.sum.e10}`)}</small><b>${S.sum.e10}</b><small class="why">${because(S.sum.e10_reason)}</small></button>
    ${person(who)}`;
}

function person(who) {
  const told = html`<small>${who ? who.roles.map((role) => t(`role.${role}`)).join(', ') : t('title.nobody')}</small><b>${who ? who.name : t('title.login')}</b>`;
  return S.session.logs_in ? html`<button class="person" @click=${() => ask(who ? 'logout' : 'login')}>${told}</button>` : html`<div class="person">${told}</div>`;
}

// -- command
const press = (name, act) => () => {
  const why = objection(name);
  if (why) say('info', `${t(`command.${name}`)}: ${why}`); else act();
};
const LEADS = { 'lot.start': ['LOADED', 'READY'], 'lot.resume': ['PAUSED'] };

const ALWAYS = new Set(['lot.pause', 'lot.abort']);
function button(name, act, more = '') {
  const covered = S.dialog && !ALWAYS.has(name);
  const why = covered ? t('why.dialog') : objection(name), ready = !why && LEADS[name]?.includes(S.sum.state);
  return html`<button class="acts ${ready ? 'ready' : ''} ${more}" data-command=${name} aria-disabled=${why ? 'true' : 'false'}
    @click=${covered ? () => say('info', why) : press(name, act)}>${t(`command.${name}`)}</button>`;
}

let holding = 0;
const HOLD_MS = 1000;
const hold = (event) => {
  if (objection('lot.abort')) return;
  const button = event.currentTarget;
  button.classList.add('held');
  holding = setTimeout(() => { button.classList.remove('held'); holding = -1; send('lot.abort', { reason: t('reason.abort') }); }, HOLD_MS);
};
const loose = (event) => {
  event.currentTarget.classList.remove('held');
  if (holding > 0) clearTimeout(holding);
};
const abort = (event) => {               // a tap tells how; the keyboard (Ctrl+Enter) asks
  const why = objection('lot.abort');
  if (why) return say('info', `${t('command.lot.abort')}: ${why}`);
  if (holding === -1) { holding = 0; return; }
  if (event.detail === 0) ask('abort'); else say('info', t('said.hold'));
};

function abortButton() {
  const why = objection('lot.abort');
  return html`<button class="acts abort" data-command="lot.abort" aria-disabled=${why ? 'true' : 'false'} @click=${abort}
    @pointerdown=${hold} @pointerup=${loose} @pointerleave=${loose} @pointercancel=${loose} @contextmenu=${(e) => e.preventDefault()}><span>${t('command.lot.abort')}</span><small>${t('command.hold')}</small></button>`;
}

export function command() {
  if (S.view === 'alarms') return alarmCommands();
  if (S.view === 'lot') return html`<button class="acts" data-print @click=${() => window.print()}>${t('command.print')}</button><span class="gap"></span>${abortButton()}`;
  if (S.view === 'engineering') return html`${button('selftest.run', () => send('selftest.run'))}<span class="gap"></span>${abortButton()}`;
  if (S.view !== 'jobs') return html`<span class="gap"></span>${abortButton()}`;
  const running = S.sum.state === 'RUNNING', waits = ['LOADED', 'READY'].includes(S.sum.state);
  return html`
    ${button('lot.load', () => ask('load'))}
    ${S.sum.state === 'PAUSED' ? button('lot.resume', () => send('lot.resume')) : button('lot.start', () => send('lot.start'), running ? 'busy' : '')}
    ${button('lot.pause', () => send('lot.pause'))}
    ${waits ? button('lot.unload', () => send('lot.unload')) : S.sum.signs?.length ? button('lot.close', () => ask('close')) : button('lot.end', () => ask('end'))}
    ${['ABORTED', 'RECOVERING'].includes(S.sum.state) ? button('cell.recover', () => ask('recover')) : button('hold.release', () => ask('release'))}
    ${waits ? button('lot.check', () => send('lot.check')) : S.engine?.cleans ? button('probe.clean', () => ask('clean')) : nothing}
    ${button('retest.start', () => ask('retest'))}
    <span class="gap"></span>
    ${abortButton()}`;
}

function alarmCommands() {
  const waiting = S.alarms.filter((one) => !one.acknowledged), why = waiting.length ? objection('alarm.ack') : t('why.no_alarm');
  return html`<button class="acts" data-command="acknowledge" aria-disabled=${why ? 'true' : 'false'}
    @click=${() => (why ? say('info', why) : waiting.forEach((one) => acknowledge(one.id)))}>${t('command.acknowledge_all')}</button><span class="gap"></span>${abortButton()}`;
}

// -- navigation
const go = (view) => () => { S.view = view; paint(); };
function tab(view, more = '', note = nothing) {
  return html`<button class="${more}" data-view=${view} aria-current=${S.view === view ? 'page' : 'false'} @click=${go(view)}>${t(`view.${view}`)}${note}</button>`;
}

export function navigation() {
  const waiting = open(), high = waiting.some((one) => one.priority === 'high');
  const jobs = ['LOADED', 'READY', 'CLOSED'].includes(S.sum.state) ? 'ready' : S.sum.state === 'RUNNING' ? 'busy' : '';
  return html`${tab('jobs', jobs)}${tab('lot')}${tab('devices')}${tab('recipes')}${tab('engineering')}${tab('security')}${tab('settings')}<span class="gap"></span>
    ${tab('alarms', waiting.length ? (high ? 'alarm' : 'caution') : '', waiting.length ? html` <b>${high ? '▲' : '◆'} ${waiting.length}</b>` : nothing)}<span class="gap"></span>${tab('help')}`;
}
