// What the traveller says beside what the cell is: whoever loads a lot sees the difference; the cell judges it.
import { html } from './vendor/lit-html.js';
import { S } from './model.js';
import { t } from './words.js';
import { looked } from './lookup.js';
import { input } from './fields.js';

const assets = () => { const all = looked('assets', 5); return Array.isArray(all) ? all.map((one) => one.name) : null; };      // null: not known now
const CELL = { product: () => [S.engine?.product], program: () => [S.engine?.sequence], card: assets };
const IDS = Object.keys(CELL);
const said = (v, id) => (v[id] ?? '').trim();
// Of a program the cell alone knows version and recipe.
const same = (v, id) => !said(v, id) || !CELL[id]() || CELL[id]().some((one) => said(v, id) === one || (id === 'program' && (v.recipe || said(v, id).startsWith(`${one} `))));
const differing = (v) => IDS.filter((id) => !same(v, id));
const answers = () => S.session.person?.roles.includes('engineer');

export const says = (v) => Object.fromEntries(IDS.map((id) => [id, said(v, id)]).filter(([, value]) => value));
export const unlike = (v) => (differing(v).length && !answers() ? t('dialog.fault.device') : '');

export const how = (v) => html`<p>${t(differing(v).length && answers() ? 'dialog.load.answer' : 'dialog.load.text')}</p>`;

function cell(v, id) {
  const all = CELL[id](), has = all ? all.join(', ') || t('dialog.load.none') : '?';
  return same(v, id) ? html`<p class="cell">${all && said(v, id) ? '✓ ' : ''}${t('dialog.load.cell', { has })}</p>` : html`<p class="cell caution" data-differs=${id}>◆ ${t('dialog.load.differs', { said: said(v, id), has })}</p>`;
}
export const traveller = (v) => html`<div class="traveller">${IDS.map((id) => html`${input(id, 'text', v[id], (x) => { v[id] = x; }, { most: 64 })}${cell(v, id)}`)}</div>`;
