// What is looked at between load and start: each check with its state, and what to do.
import { html, nothing } from './vendor/lit-html.js';
import { S, say } from './model.js';
import { t } from './words.js';
import { looked, again } from './lookup.js';
import { send, objection } from './commands.js';
import { reason, reasoned } from './fields.js';
import { ask } from './dialogs.js';

const MARK = { ok: '✓', warning: '◆', bad: '▲' }, KIND = { ok: '', warning: 'caution', bad: 'alarm' };
const mayNot = (one) => objection('check.waive') || (S.session.person?.roles.some((role) => one.who.includes(role)) ? '' : t('why.role', { roles: by(one) }));
const by = (one) => one.who.map((role) => t(`role.${role}`)).join(', ');
const answer = (one) => { const why = mayNot(one); if (why) say('info', `${t('command.check.waive')}: ${why}`); else ask('waive', one); };
const asks = (one) => html`<p data-who>${t('preflight.may', { roles: by(one) })}</p><button class="acts" data-waive aria-disabled=${mayNot(one) ? 'true' : 'false'} @click=${() => answer(one)}>${t('command.check.waive')}</button>`;
// of a check that fails at single sites: the lot begins with the others
const off = (site) => { const why = objection('site.set'); if (why) say('info', `${t('command.site.set')}: ${why}`); else ask('site', { site }); };
const without = (one) => one.sites.map((site) => html`<button class="acts" data-without=${site} aria-disabled=${objection('site.set') ? 'true' : 'false'} @click=${() => off(site)}>${t('preflight.without', { site: String(site) })}</button>`);
const worstFirst = (all) => [...all.filter((one) => one.health === 'bad'), ...all.filter((one) => one.health !== 'bad')];

export const WAIVE = {
  waive: {
    body: (v) => html`<p><b>${t(`preflight.${v.name}`)}</b> · ${t('preflight.may', { roles: by(v) })}</p><p>${t('dialog.waive.text')}</p><p>${v.found}</p>${reason(v)}`,
    fault: reasoned, command: 'check.waive',
    act: async (v) => { await send('check.waive', { check: v.name, reason: v.reason.trim() }); again('lot/preflight'); },
  },
};

export function preflight() {
  const found = looked('lot/preflight', 5);
  return html`<section class="preflight" tabindex="0" aria-label=${t('preflight.title')}><h2>${t('preflight.title')}</h2>${Array.isArray(found) ? html`<ul>${worstFirst(found).map((one) => html`<li class="entry ${KIND[one.health]}" data-check=${one.name} data-health=${one.health}>
    <div class="head"><span class="mark" aria-hidden="true">${MARK[one.health]}</span><b>${t(`preflight.${one.name}`)}</b><span>${t(`preflight.is.${one.health}`)}</span></div><p>${one.found}</p>${one.health === 'ok' ? nothing : html`<p class="what">${t(`preflight.do.${one.name}`)}</p>`}${one.waived ? html`<p data-waived>${t('preflight.waived', { who: one.waived })}</p>` : one.waivable ? asks(one) : one.health === 'bad' ? html`<p>${t('preflight.never')}</p>` : nothing}${without(one)}</li>`)}</ul>` : nothing}</section>`;
}
