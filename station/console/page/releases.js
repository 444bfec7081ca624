// Key releases that lie with the station: between lots an officer has one brought to the vault, which judges its signatures.
import { html, nothing } from './vendor/lit-html.js';
import { t, when } from './words.js';
import { looked } from './lookup.js';
import { send, objection } from './commands.js';
import { reason } from './fields.js';
import { ask, kinds } from './dialogs.js';

const facts = (one) => html`<dl><dt>${t('quota.order')}</dt><dd>${one.order}</dd><dt>${t('quota.key_set')}</dt><dd>${one.key_set}</dd><dt>${t('release.stations')}</dt><dd>${one.stations.join(', ')}</dd><dt>${t('quota.until')}</dt><dd>${when(new Date(one.not_after * 1000))}</dd><dt>${t('recipe.signed')}</dt><dd>${one.signers.join(', ')}</dd></dl>`;

kinds({
  keys: {
    body: (v) => html`<p>${t('dialog.keys.text')}</p>${facts(v)}${reason(v)}`,
    fault: () => '', command: 'key.release',
    act: (v) => send('key.release', { release: v.release, reason: (v.reason ?? '').trim() }),
  },
});

const row = (one) => html`<li class="entry ${one.wrong ? 'caution' : ''}" data-release=${one.release}><div class="head"><b>${one.order || one.release.slice(0, 16)}</b></div>
  ${one.wrong ? html`<p class="what">◆ ${one.wrong}</p>` : html`${facts(one)}<button class="acts" data-bring aria-disabled=${objection('key.release') ? 'true' : 'false'} @click=${() => ask('keys', one)}>${t('command.key.release')}</button>`}</li>`;

export function releases() {
  const found = looked('releases', 10), all = Array.isArray(found) ? found : [];
  return all.length ? html`<h2>${t('release.title')}</h2><ul>${all.map(row)}</ul>` : nothing;
}
