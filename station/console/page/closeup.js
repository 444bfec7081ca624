// One test closely: its indices with their intervals, its distribution, its control charts; the same parts twice.
import { html, nothing } from './vendor/lit-html.js';
import { t, num } from './words.js';
import { choice } from './fields.js';
import { chart, short, line, bound, middle, marked, columns, dots, upright } from './charts.js';

const figure = (name, value, more = nothing) => html`<div><small>${name}</small><b>${value}</b>${more}</div>`;
const index = (name, one) => (one ? figure(name, one.value.toFixed(2), one.low === null ? nothing : html`<small>95 %: ${one.low.toFixed(2)} … ${one.high.toFixed(2)}</small>`) : nothing);

function capability({ capability: found, unit }) {
  if (!found) return html`<p>${t('cap.none')}</p>`;
  return html`<div class="figures" data-capability>${figure(t('cap.count'), num(found.count))}${figure(t('cap.mean'), `${short(found.mean)} ${unit}`)}${figure(t('cap.sigma'), `${short(found.sigma, 3)} ${unit}`)}
    ${index('Cp', found.cp)}${index('Cpk', found.cpk)}${index('Pp', found.pp)}${index('Ppk', found.ppk)}${index(t('cap.percentiles'), found.percentile_ppk)}${figure(t('cap.ppm'), `${short(found.expected_ppm, 3)} ppm`)}${found.normal_p === null ? nothing : figure(t('cap.normal'), found.normal_p.toFixed(3))}</div>`;
}

function distribution({ number, name, low, high, histogram }, of) {
  const { edges, counts, below, above } = histogram;
  if (!counts.length) return nothing;
  const limits = [low, high].filter((one) => one !== null);
  return html`<h2>${t('lots.histogram')}</h2>${chart('histogram', `${t('lots.histogram')} ${of.lot} ${number} ${name}`, of, [edges, [...counts, null]], [columns()], { draw: upright(limits), y: { range: (_, __, most) => [0, Math.max(1, most)] }, low: true })}
    ${below + above ? html`<p>${t('lots.beyond', { n: below + above })}</p>` : nothing}`;
}

// -- control charts
const GROUPS = ['', '5', '10', '25'];
function control(one, signals, of) {
  const xs = one.points.map((_, n) => n + 1), flat = (values) => (values[0] === null ? [] : [values]);
  const sides = [...flat(one.low), ...flat(one.high)];
  return html`<h3>${t(`spc.${one.name}`)} · ${short(one.low[0])} … ${short(one.centre[0])} … ${short(one.high[0])}</h3>
    ${chart(`control ${one.name}`, `${t(`spc.${one.name}`)} ${of.lot} ${of.test.number}`, of, [xs, one.points, one.points.map((value, n) => (signals.has(n) ? value : null)), one.centre, ...sides], [line({ width: 1, points: { show: true, size: 4 } }), marked(), middle(), ...sides.map(bound)], { low: true, whole: true })}`;
}

function charts(found, asked, paint) {
  const { charted } = found, pick = choice(t('spc.group'), GROUPS.map((one) => [one, one || '1']), asked.group, (one) => { asked.group = one; paint(); });
  if (!charted) return html`<h2>${t('lots.spc')}</h2>${pick}<p>${t('spc.few')}</p>`;
  const rules = Object.entries(charted.rules).filter(([, at]) => at.length);
  const signals = new Set(rules.flatMap(([, at]) => at)), beyond = (one) => new Set(one.points.map((value, n) => [value, n]).filter(([value, n]) => (one.low[n] !== null && value < one.low[n]) || (one.high[n] !== null && value > one.high[n])).map(([, n]) => n));
  return html`<h2>${t('lots.spc')}</h2>${pick}${charted.charts.map((one, n) => control(one, n ? beyond(one) : new Set([...signals, ...beyond(one)]), found))}
    ${rules.length ? html`<ul class="rules">${rules.map(([rule, at]) => html`<li data-rule=${rule}>◆ ${t(`nelson.${rule}`)}: ${t('spc.signals', { n: at.length })} (${at.slice(0, 8).map((place) => place + 1).join(', ')}${at.length > 8 ? ' …' : ''})</li>`)}</ul>` : html`<p>${t('spc.none')}</p>`}`;
}

function sites({ sites: found }, of) {
  return found ? html`<h2>${t('lot.sites')}</h2><table data-table="of-sites"><thead><tr><th scope="col" class="name">${t('lot.site')}</th><th scope="col">${t('lot.devices')}</th><th scope="col">${t('cap.mean')}</th><th scope="col">${t('cap.sigma')}</th></tr></thead><tbody>${of.sites.map((site, n) => html`<tr><th scope="row" class="name">${site}</th><td>${num(found.counts[n])}</td><td>${short(found.means[n])}</td><td>${short(found.deviations[n], 3)}</td></tr>`)}</tbody></table>` : nothing;
}

export function closeup(found, asked, paint) {
  const { test } = found;
  return html`<p><b>${test.number} ${test.name}</b> ${short(test.low, 6)} … ${short(test.high, 6)} ${test.unit} · ${t('cap.failed', { n: test.failed })} · ${t('cap.outliers', { n: test.outliers })}</p>
    ${capability(test)}${distribution(test, found)}${charts(found, asked, paint)}${sites(test, found)}`;
}

export function scatter(found, [first, second]) {
  const order = found.first.map((_, n) => n).sort((a, b) => found.first[a] - found.first[b]), xs = order.map((n) => found.first[n]);
  return html`<h3>${found.number} ${found.name} [${found.unit}]: ${second} / ${first}</h3>${chart('scatter', `${found.number} ${found.name}: ${first}, ${second}`, found, [xs, order.map((n) => found.second[n]), xs], [dots(0), middle()])}`;
}
