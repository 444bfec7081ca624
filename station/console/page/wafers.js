// Wafers laid over each other, and two of them compared die by die; drawn by the map of the job's view.
import { html, nothing } from './vendor/lit-html.js';
import { paint } from './model.js';
import { t, num } from './words.js';
import { WaferMap } from './map.js';

const STEPS = 10;
const maps = new Map();
let one = '0', two = '';

// A map of its own, that is drawn as long as it is to be seen.
function map(name) {
  if (!maps.has(name)) {
    const made = new WaferMap();
    made.className = 'map';
    made.addEventListener('picked', paint);
    maps.set(name, { map: made, of: null });
    const draw = () => { if (made.isConnected) made.draw(); requestAnimationFrame(draw); };
    draw();
  }
  return maps.get(name);
}

function laid(name, found, dies, colours, label) {
  const kept = map(name), theme = document.documentElement.dataset.theme;
  if (kept.of !== found || kept.theme !== theme) {
    kept.of = found; kept.theme = theme;
    const size = found.columns * found.rows, octets = new Uint8Array(3 * size).fill(255);
    for (const [column, row, colour] of dies) for (const plane of [0, 1, 2]) octets[plane * size + row * found.columns + column] = colour;
    kept.map.load({ kind: 'wafer', x: 0, y: 0, width: found.columns, height: found.rows }, octets, colours.map((colour) => ({ colour })));
    kept.map.theme();
  }
  kept.map.name(label);
  return kept.map;
}

const picked = (name) => maps.get(name)?.map.picked;
const frame = (map, said, tools) => html`<div class="mapbox stacked"><div class="canvas">${map}</div><div class="below">${tools}<output aria-live="polite">${said}</output></div></div>`;
const tools = (map) => [['map.closer', '+', () => map.scale(1.6)], ['map.further', '−', () => map.scale(1 / 1.6)], ['map.whole', '⤢', () => map.whole()]].map(([id, sign, act]) => html`<button class="tool" aria-label=${t(id)} title=${t(id)} @click=${act}>${sign}</button>`);

// From bad to good, so that either end is known without the other.
const SCALE = Array.from({ length: STEPS + 1 }, (_, n) => { const part = n / STEPS; return `#${[179 - 100 * part, 38 + 105 * part, 30 + 120 * part].map((value) => Math.round(value).toString(16).padStart(2, '0')).join('')}`; });

function stack(found) {
  const drawn = laid('stack', found, found.dies.map(([column, row, tested, good]) => [column, row, 1 + Math.round((STEPS * good) / tested)]), SCALE, t('wafers.stack', { n: found.wafers.length }));
  const at = picked('stack'), die = at && found.dies.find(([column, row]) => column === at.column && row === at.row);
  const bad = found.dies.filter(([, , tested, good]) => tested > 1 && !good);
  return html`<h2>${t('wafers.stack', { n: found.wafers.length })}</h2>${frame(drawn, die ? t('wafers.die', { x: String(die[0]), y: String(die[1]), n: die[2], good: die[3] }) : t('map.tap_die'), tools(drawn))}
    <p class="scale"><span>0 %</span>${SCALE.map((colour, n) => html`<svg width="28" height="16" aria-hidden="true" data-share=${n}><rect width="28" height="16" fill=${colour} /></svg>`)}<span>100 %</span></p>
    <p data-repeaters>${t('wafers.repeaters', { n: bad.length })}${bad.length ? `: ${bad.slice(0, 12).map(([column, row]) => `(${column}, ${row})`).join(' ')}${bad.length > 12 ? ' …' : ''}` : ''}</p>`;
}

// -- two of them
const KINDS = ['wafers.same', 'wafers.recovered', 'wafers.lost', 'wafers.other', 'wafers.once'];
const COLOURS = () => ['--pass', '--ready', '--alarm', '--caution', '--untested'].map((name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim());
function kind(found, was, now) {
  if (!was || !now) return 5;
  if (was === now) return 1;
  const good = [found.good.includes(was), found.good.includes(now)];
  return good[0] === good[1] ? 4 : good[1] ? 2 : 3;
}

function changes(found) {
  const dies = found.dies.map(([column, row, was, now]) => [column, row, kind(found, was, now)]), counts = [0, 0, 0, 0, 0];
  for (const [, , which] of dies) counts[which - 1] += 1;
  const drawn = laid('changes', found, dies, COLOURS(), t('wafers.compare'));
  const at = picked('changes'), die = at && found.dies.find(([column, row]) => column === at.column && row === at.row);
  return html`${frame(drawn, die ? t('wafers.was', { x: String(die[0]), y: String(die[1]), was: String(die[2] || '–'), now: String(die[3] || '–') }) : t('map.tap_die'), tools(drawn))}
    <ul class="rules" data-changes>${KINDS.map((id, n) => html`<li data-kind=${id}><svg width="28" height="16" aria-hidden="true"><rect width="28" height="16" fill=${COLOURS()[n]} /></svg> ${t(id)}: ${num(counts[n])}</li>`)}</ul>
    ${found.changed.length ? html`<table data-table="changed"><thead><tr><th scope="col">${t('wafers.then')}</th><th scope="col">${t('wafers.now')}</th><th scope="col">${t('lot.devices')}</th></tr></thead><tbody>${found.changed.map(([was, now, count]) => html`<tr><td>${was} ${found.names[was] ?? ''}</td><td>${now} ${found.names[now] ?? ''}</td><td>${num(count)}</td></tr>`)}</tbody></table>` : nothing}`;
}

export function wafers(told, lots) {
  return told(`lots/stack?${lots}`, (found) => {
    const pick = (id, value, change) => html`<label for=${id}><span>${t(`wafers.${id}`)}</span><select id=${id} @change=${(e) => { change(e.target.value); paint(); }}><option value=""></option>${found.wafers.map((name, n) => html`<option value=${n} ?selected=${String(n) === value}>${name}</option>`)}</select></label>`;
    return html`${stack(found)}${found.wafers.length > 1 ? html`<h2>${t('wafers.compare')}</h2><div class="tabs">${pick('one', one, (value) => { one = value; })}${pick('two', two, (value) => { two = value; })}</div>
      ${one && two && one !== two ? told(`lots/changes?${lots}&one=${one}&two=${two}`, changes) : nothing}` : nothing}`;
  });
}
