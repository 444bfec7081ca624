// The views of alarms, settings and help.
import { html, nothing } from './vendor/lit-html.js';
import { S, paint, setting, set } from './model.js';
import { t, when, LANGUAGES, loadWords } from './words.js';
import { acknowledge } from './commands.js';
import { ask } from './dialogs.js';
import { map, drawTrend } from './parts.js';

// -- alarms
function alarm(one) {
  const mark = one.priority === 'high' ? '▲' : '◆', kind = one.active || !one.acknowledged ? (one.priority === 'high' ? 'alarm' : 'caution') : '';
  const state = one.active ? (one.acknowledged ? 'alarms.seen' : 'alarms.active') : one.acknowledged ? 'alarms.over' : 'alarms.returned';
  return html`<li class="entry ${kind}"><div class="head"><span class="mark" aria-hidden="true">${mark}</span><b>${t(`alarm.${one.code}`, { n: one.site })}</b><span>${t(state)}</span><time>${when(new Date(one.at * 1000))}</time></div>
    <p class="what">${t(`do.${one.code}`)}</p><p><code>${one.reason}</code></p>
    ${one.acknowledged ? html`<p>${t('alarms.by', { who: one.acknowledged })} ${when(new Date(one.acknowledged_at * 1000))}</p>` : nothing}
    <div class="tabs">${one.acknowledged ? nothing : html`<button class="acts" data-acknowledge=${one.id} @click=${() => acknowledge(one.id)}>${t('command.alarm.ack')}</button>`}
    ${one.shelved_until > S.sum.at ? html`<p>${t('alarms.shelved')}</p>` : one.active ? html`<button class="acts" data-shelve=${one.id} @click=${() => ask('shelve', { alarm: one.id })}>${t('command.alarm.shelve')}</button>` : nothing}</div></li>`;
}
export function alarms() {
  const now = S.alarms.filter((one) => one.active || !one.acknowledged).toReversed(), past = S.alarms.filter((one) => !one.active && one.acknowledged).toReversed();
  return html`<section tabindex="0" role="region" aria-label=${t(`view.${S.view}`)} class="scroll"><h2>${t('alarms.now')}</h2>${now.length ? html`<ul>${now.map(alarm)}</ul>` : html`<p>${t('link.no_alarms')}</p>`}
    <h2>${t('alarms.history')}</h2>${past.length ? html`<ul>${past.map(alarm)}</ul>` : html`<p>${t('alarms.none')}</p>`}</section>`;
}

// -- settings
const choice = (name, value, label, after) => html`<button aria-pressed=${setting(name, FIRST[name]) === value ? 'true' : 'false'} data-set="${name}=${value}" @click=${async () => { set(name, value); await after(); paint(); }}>${label}</button>`;
const FIRST = { lang: 'en', theme: 'light', hand: 'right' };
export function look() {
  document.documentElement.dataset.theme = setting('theme', 'light');
  document.body.classList.toggle('left', setting('hand', 'right') === 'left');
  map.theme?.call(map);
  drawTrend(true);
}
export const settings = () => html`<section tabindex="0" role="region" aria-label=${t(`view.${S.view}`)} class="scroll settings"><h2>${t('settings.language')}</h2><div>${Object.entries(LANGUAGES).map(([code, name]) => html`<span lang=${code}>${choice('lang', code, name, loadWords)}</span>`)}</div>
  <h2>${t('settings.theme')}</h2><div>${choice('theme', 'light', t('settings.light'), look)}${choice('theme', 'dark', t('settings.dark'), look)}</div>
  <h2>${t('settings.hand')}</h2><div>${choice('hand', 'right', t('settings.right'), look)}${choice('hand', 'left', t('settings.left'), look)}</div></section>`;

export const help = () => html`<section tabindex="0" role="region" aria-label=${t(`view.${S.view}`)} class="scroll help"><h2>${t('help.title')}</h2>${['stop', 'abort', 'end', 'hold', 'stale', 'scan', 'keys'].map((id) => html`<h3>${t(`help.${id}.title`)}</h3><p>${t(`help.${id}.text`)}</p>`)}</section>`;
