// The recipes that lie with the station: which are staged, whose they are, what is wrong with one.
import { html, nothing } from './vendor/lit-html.js';
import { S } from './model.js';
import { t, when } from './words.js';
import { looked, again } from './lookup.js';
import { send, objection } from './commands.js';
import { reason } from './fields.js';
import { ask } from './dialogs.js';
import { configs } from './configs.js';

const found = () => { const all = looked('recipes', 5); return Array.isArray(all) ? all : []; };
export const staged = () => found().filter((one) => one.staged && !one.wrong);
const until = (one) => (one.not_after ? when(new Date(one.not_after * 1000)).slice(0, 10) : '');

export const STAGE = {
  stage: {
    body: (v) => html`<p>${t('dialog.stage.text')}</p><dl><dt>${t('lot.recipe')}</dt><dd>${v.title}</dd><dt>${t('recipe.signed')}</dt><dd>${v.signers.join(', ')}</dd><dt>SHA-256</dt><dd><code>${v.recipe}</code></dd></dl>${reason(v)}`,
    fault: () => '', command: 'recipe.stage',
    act: async (v) => { await send('recipe.stage', { recipe: v.recipe, reason: (v.reason ?? '').trim() }); again('recipes'); },
  },
};

const row = (one) => html`<li class="entry ${one.wrong ? 'caution' : ''}" data-recipe=${one.recipe} data-staged=${one.staged ? 'true' : 'false'}><div class="head"><b>${one.title || one.recipe.slice(0, 16)}</b><span>${t(one.staged ? 'recipe.staged' : 'recipe.brought')}</span>${S.lot?.recipe && S.lot.recipe.endsWith(one.recipe.slice(0, 16)) ? html`<span>${t('recipe.now')}</span>` : nothing}</div>
  <p>${one.product} · ${one.sequence} · ${t('recipe.signed')}: ${one.signers.join(', ') || '–'} · ${t('act.until')} ${until(one)}</p><p><code>${one.recipe}</code></p>${one.wrong ? html`<p class="what">◆ ${one.wrong}</p>` : nothing}
  ${one.staged || one.wrong ? nothing : html`<button class="acts" data-stage aria-disabled=${objection('recipe.stage') ? 'true' : 'false'} @click=${() => ask('stage', one)}>${t('command.recipe.stage')}</button>`}</li>`;

export function recipes() {
  const all = found();
  return html`<section tabindex="0" role="region" aria-label=${t('view.recipes')} class="scroll"><h2>${t('view.recipes')}</h2>${all.length ? html`<ul>${all.map(row)}</ul>` : html`<p>${t('recipe.none')}</p>`}${configs()}</section>`;
}
