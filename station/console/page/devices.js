// Looking a device up: what happened to it, what was measured, and its certificates.
import { html, nothing } from './vendor/lit-html.js';
import { S, paint, bin } from './model.js';
import { t, when } from './words.js';
import { looked, again } from './lookup.js';
import { input } from './fields.js';

let typed = '', wanted = '';
const path = () => `lot/device?wanted=${encodeURIComponent(wanted)}`;
export const find = (what) => { typed = wanted = String(what); again(path()); };

const value = (one) => (one.kind === 'F' ? t(`device.${one.verdict}`) : one.values?.length ? one.values.map((each) => each.toPrecision(5)).join(' ') : one.value == null ? '–' : Number(one.value).toPrecision(6));
const contact = (one) => html`<h3>${t('device.contact', { n: String(one.number), site: String(one.site) })}: ${one.soft} ${bin(one.soft)?.name ?? ''} ${one.reason}</h3>
  <table><tbody>${one.measurements.map((each) => html`<tr class=${each.verdict}><th scope="row">${each.test}</th><td class="name">${each.name}</td><td>${value(each)}</td><td>${each.verdict === 'passed' ? '' : `◆ ${t(`device.${each.verdict}`)}`}</td><td class="name">${each.text}</td></tr>`)}</tbody></table>`;

function told(one) {
  return html`<h2>${t('map.device', { part: String(one.part) })}</h2><dl class="header">${one.place ? html`<dt>${t('device.place')}</dt><dd>${one.place}</dd>` : nothing}${one.serial ? html`<dt>${t('device.serial')}</dt><dd><code>${one.serial}</code></dd><dt>UID</dt><dd><code>${one.uid}</code></dd>` : nothing}</dl>
    <h2>${t('device.life')}</h2><ol class="life">${one.steps.map((step) => html`<li><time>${when(new Date(step.at * 1000))}</time> <b>${t(`step.${step.what}`)}</b> ${step.site ? t('tile.site', { site: String(step.site) }) : ''} ${step.detail}</li>`)}</ol>
    <h2>${t('device.measured')}</h2>${one.contacts.length ? one.contacts.map(contact) : html`<p>–</p>`}
    <h2>${t('device.certificates')}</h2>${one.certificates.length ? html`<table data-table="certificates"><tbody>${one.certificates.map((each) => html`<tr><th scope="row" class="name">${each.subject}</th><td class="name">${each.issuer}</td><td class="name">${each.algorithm}</td><td><code>${each.serial}</code></td><td>${each.begins} – ${each.ends}</td></tr>`)}</tbody></table>` : html`<p>${t(one.serial ? 'device.at_close' : 'device.no_certificate')}</p>`}`;
}

export function devices() {
  const found = wanted && S.lot ? looked(path(), 10) : null;
  return html`<section tabindex="0" role="region" aria-label=${t('view.devices')} class="scroll sheet">
    <div class="search">${input('wanted', 'text', typed, (x) => { typed = x; }, { most: 64 })}<button data-find ?disabled=${!typed.trim()} @click=${() => { wanted = typed.trim(); again(path()); paint(); }}>${t('device.find')}</button></div>
    ${!S.lot ? html`<p>${t('jobs.no_lot')}</p>` : found?.part ? told(found) : found ? html`<p role="status">${t('device.none', { wanted })}</p>` : html`<p>${t('device.how')}</p>`}</section>`;
}
