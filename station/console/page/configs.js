// The station files that lie with the station: what each would change, and taking one between two lots.
import { html, nothing } from './vendor/lit-html.js';
import { S } from './model.js';
import { t } from './words.js';
import { looked, again } from './lookup.js';
import { send, objection } from './commands.js';
import { reason, reasoned } from './fields.js';
import { ask } from './dialogs.js';
import { begun, pin } from './several.js';

const found = () => { const all = looked('configs', 5); return Array.isArray(all) ? all : []; };
const value = (one) => (one === null ? '–' : JSON.stringify(one));
const changes = (one) => html`<dl>${one.changes.map((change) => html`<dt><code>${change.key}</code></dt><dd>${value(change.before)} → ${value(change.after)}</dd>`)}</dl>`;

export const APPLY = {
  apply: {
    body: (v) => html`<p>${t('dialog.apply.text')}</p>${changes(v)}${reason(v)}${v.two && S.session.logs_in ? html`<p>${t('act.first')}</p>${pin(v)}` : nothing}`,
    fault: (v) => reasoned(v) || (!v.two ? '' : !S.session.logs_in ? t('takes.accounts') : v.badge && v.pin ? '' : t('dialog.fault.login')),
    command: 'config.apply',
    act: async (v) => {
      const said = { reason: v.reason.trim() };
      if (v.two) await begun('config.apply', v, v.config, said); else await send('config.apply', { ...said, config: v.config });
      again('configs');
    },
  },
};

const row = (one) => html`<li class="entry ${one.wrong ? 'caution' : ''}" data-config=${one.config}><div class="head"><b>${one.config.slice(0, 16)}</b>${one.two ? html`<span>${t('config.two')}</span>` : nothing}${!one.wrong && !one.changes.length ? html`<span>${t('config.now')}</span>` : nothing}</div>
  ${one.wrong ? html`<p class="what">◆ ${one.wrong}</p>` : changes(one)}
  ${one.wrong || !one.changes.length ? nothing : html`<button class="acts" data-apply aria-disabled=${objection('config.apply') ? 'true' : 'false'} @click=${() => ask('apply', one)}>${t('command.config.apply')}</button>`}</li>`;

export function configs() {
  const all = found();
  return all.length ? html`<h2>${t('config.files')}</h2><ul>${all.map(row)}</ul>` : nothing;
}
