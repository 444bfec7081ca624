// <wafer-map>: one texel a die in an off-screen canvas; zoom, rotation and mirror are one drawImage.

const NOTHING = 255;
const FAILS = ['#b3261e', '#d97706', '#1d5fa8', '#7b2d8b', '#b4a000', '#c2186a', '#0f7a7a', '#5b4636', '#4b5d16', '#333a9e'];

export class WaferMap extends HTMLElement {
  constructor() {
    super();
    this.canvas = document.createElement('canvas');
    this.canvas.setAttribute('role', 'img');
    this.canvas.tabIndex = 0;
    this.context = this.canvas.getContext('2d', { alpha: false });
    this.texels = document.createElement('canvas');
    this.of = { kind: '', x: 0, y: 0, width: 0, height: 0 };
    this.bins = []; this.plane = 'last'; this.only = 0; this.zoom = 1; this.panX = 0; this.panY = 0;
    this.turn = 0; this.mirrored = false; this.contact = []; this.shownContact = ''; this.picked = null;
    this.stale = true;
    new ResizeObserver(() => this.fit()).observe(this);
    this.gestures();
    this.theme();
  }

  connectedCallback() {
    this.append(this.canvas);
  }

  theme() {
    const css = getComputedStyle(document.documentElement), of = (name) => css.getPropertyValue(name).trim();
    this.back = of('--card'); this.disc = of('--disc'); this.ink = of('--ink');
    this.colours = { pass: of('--pass'), none: of('--untested'), other: of('--other') };
    this.recolour();
  }

  fit() {
    const ratio = devicePixelRatio, box = this.getBoundingClientRect();
    this.canvas.width = Math.max(1, Math.round(box.width * ratio));
    this.canvas.height = Math.max(1, Math.round(box.height * ratio));
    this.stale = true;
  }

  // -- what is on it
  load(of, octets, bins) {
    const size = of.width * of.height;
    this.of = of; this.bins = bins;
    this.octets = { last: octets.slice(0, size), first: octets.slice(size, 2 * size), site: octets.slice(2 * size) };
    this.texels.width = Math.max(1, of.width); this.texels.height = Math.max(1, of.height);
    this.inner = this.texels.getContext('2d');
    this.image = this.inner.createImageData(this.texels.width, this.texels.height);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.extent = null;
    for (let y = 0; y < of.height; y += 1) for (let x = 0; x < of.width; x += 1) if (this.octets.last[y * of.width + x] !== NOTHING) this.reach(x, y);
    this.recolour();
  }

  reach(x, y) {
    const e = this.extent ??= [x, y, x, y];
    if (x < e[0]) e[0] = x; if (y < e[1]) e[1] = y; if (x > e[2]) e[2] = x; if (y > e[3]) e[3] = y;
  }

  put(x, y, last, first, site) {
    const column = x - this.of.x, row = y - this.of.y, at = row * this.of.width + column;
    if (column < 0 || row < 0 || column >= this.of.width || row >= this.of.height) return;
    this.octets.last[at] = last; this.octets.first[at] = first; this.octets.site[at] = site;
    const e = this.extent ? [...this.extent] : null;
    this.reach(column, row);
    if (String(e) !== String(this.extent)) this.stale = true;
    this.pixels[at] = this.colour(at);
    const d = this.dirty ??= [column, row, column, row];
    if (column < d[0]) d[0] = column; if (row < d[1]) d[1] = row; if (column > d[2]) d[2] = column; if (row > d[3]) d[3] = row;
  }

  colourOf(place) {                 // of a bin, by its place in the lot's table, from 1
    const bin = this.bins[place - 1];
    if (!bin) return this.colours.none;
    if (bin.colour) return bin.colour;
    if (bin.kind === 'pass') return this.colours.pass;
    if (bin.kind === 'other') return this.colours.other;
    return FAILS[(place - 1) % FAILS.length];
  }

  recolour() {
    if (!this.pixels) return;
    const word = (css) => { const n = parseInt(css.slice(1), 16); return (0xff000000 | ((n & 255) << 16) | (n & 0xff00) | (n >> 16)) >>> 0; };
    this.none = word(this.colours.none);
    this.table = this.bins.map((_, n) => word(this.colourOf(n + 1)));
    this.siteTable = Array.from({ length: 65 }, (_, n) => word(n ? FAILS[(n - 1) % FAILS.length] : this.colours.none));
    for (let at = 0; at < this.pixels.length; at += 1) this.pixels[at] = this.colour(at);
    this.inner.putImageData(this.image, 0, 0);
    this.dirty = null; this.stale = true;
  }

  colour(at) {
    const octet = (this.plane === 'first' ? this.octets.first : this.octets.last)[at];
    if (octet === NOTHING || octet === undefined) return 0;
    if (octet === 0) return this.none;
    if (this.only && octet !== this.only) return this.none;
    if (this.plane === 'site') return this.siteTable[this.octets.site[at]];
    if (this.plane === 'again' && this.octets.first[at] === this.octets.last[at]) return this.none;
    return this.table[octet - 1] ?? this.none;
  }

  // -- how it is looked at
  look(what) {
    Object.assign(this, what);
    if ('plane' in what || 'only' in what) this.recolour();
    this.stale = true;
  }

  measure() {
    const e = this.extent ?? [0, 0, 0, 0], turned = this.turn % 2;
    const columns = e[2] - e[0] + 1, rows = e[3] - e[1] + 1;
    const whole = (dies) => (this.of.kind === 'wafer' ? dies * 1.04 + 1 : dies);   // with the edge of the disc
    const [w, h] = turned ? [rows, columns] : [columns, rows];
    const scale = Math.min(this.canvas.width * 0.96 / whole(w), this.canvas.height * 0.96 / whole(h), 56 * devicePixelRatio) * this.zoom;
    return { scale, middleX: (e[0] + e[2] + 1) / 2, middleY: (e[1] + e[3] + 1) / 2, columns, rows };
  }

  enter(context, m) {
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.translate(this.canvas.width / 2 + this.panX, this.canvas.height / 2 + this.panY);
    context.scale(this.mirrored ? -1 : 1, 1);
    context.rotate(this.turn * Math.PI / 2);
    const [left, up] = this.of.mirrored ?? [];
    context.scale(left ? -m.scale : m.scale, up ? -m.scale : m.scale);
    context.translate(-m.middleX, -m.middleY);
  }

  draw() {
    if (!this.pixels) { this.blank(); return; }
    if (this.dirty) {
      const [a, b, c, d] = this.dirty;
      this.inner.putImageData(this.image, 0, 0, a, b, c - a + 1, d - b + 1);
    }
    const contact = String(this.contact);
    if (!this.stale && !this.dirty && contact === this.shownContact) return;
    this.dirty = null; this.stale = false; this.shownContact = contact;
    const context = this.context, m = this.measure();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = this.back;
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.enter(context, m);
    if (this.of.kind === 'wafer' && this.extent) this.round(context, m);
    context.imageSmoothingEnabled = m.scale < 1;
    context.drawImage(this.texels, 0, 0);
    if (m.scale >= 9 * devicePixelRatio) this.lines(context, m);
    this.marks(context, m);
  }

  blank() {
    this.context.fillStyle = this.back;
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  round(context, m) {
    context.fillStyle = this.disc;
    this.outline(context, m);
    context.fill();
    if (!this.of.notch) return;
    const [left, up] = this.of.mirrored, angle = 'RDLU'.indexOf(this.of.notch) * Math.PI / 2;
    context.fillStyle = this.back;
    context.beginPath();
    context.ellipse(m.middleX + Math.cos(angle) * (left ? -1 : 1) * (m.columns * 0.52 + 0.5), m.middleY + Math.sin(angle) * (up ? -1 : 1) * (m.rows * 0.52 + 0.5), m.columns * 0.035, m.rows * 0.035, 0, 0, 7);
    context.fill();
  }

  outline(context, m) {
    context.beginPath();
    context.ellipse(m.middleX, m.middleY, m.columns * 0.52 + 0.5, m.rows * 0.52 + 0.5, 0, 0, 7);
  }

  lines(context, m) {
    const e = this.extent ?? [0, 0, -1, -1];
    const wafer = this.of.kind === 'wafer';
    context.save();
    if (wafer) { this.outline(context, m); context.clip(); }
    context.strokeStyle = wafer ? this.disc : this.back;
    context.lineWidth = 1.5 * devicePixelRatio / m.scale;
    context.beginPath();
    for (let x = e[0]; x <= e[2] + 1; x += 1) { context.moveTo(x, e[1]); context.lineTo(x, e[3] + 1); }
    for (let y = e[1]; y <= e[3] + 1; y += 1) { context.moveTo(e[0], y); context.lineTo(e[2] + 1, y); }
    context.stroke();
    context.restore();
  }

  marks(context, m) {
    context.strokeStyle = this.ink;
    context.lineWidth = Math.max(2 * devicePixelRatio / m.scale, 0.12);
    for (const [x, y] of this.contact ?? []) context.strokeRect(x - this.of.x, y - this.of.y, 1, 1);
    if (!this.picked) return;
    context.setLineDash([0.2, 0.15]);
    context.strokeRect(this.picked.column - 0.2, this.picked.row - 0.2, 1.4, 1.4);
    context.setLineDash([]);
  }

  // -- touched
  pick(clientX, clientY) {
    const box = this.canvas.getBoundingClientRect(), ratio = devicePixelRatio;
    this.enter(this.context, this.measure());
    const at = this.context.getTransform().inverse().transformPoint(new DOMPoint((clientX - box.left) * ratio, (clientY - box.top) * ratio));
    this.choose(Math.floor(at.x), Math.floor(at.y));
  }

  choose(column, row) {
    const { width, height } = this.of, at = row * width + column;
    const there = column >= 0 && row >= 0 && column < width && row < height && this.octets.last[at] !== NOTHING;
    this.picked = there ? { column, row, x: column + this.of.x, y: row + this.of.y, last: this.octets.last[at], first: this.octets.first[at], site: this.octets.site[at] } : null;
    this.stale = true;
    this.dispatchEvent(new CustomEvent('picked', { detail: this.picked }));
  }

  name(label) { this.canvas.setAttribute('aria-label', label); }

  step(event) {                     // arrows go from die to die
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
    if (!this.extent || (!dx && !dy)) return;
    event.preventDefault();
    const e = this.extent, from = this.picked ?? { column: Math.round((e[0] + e[2]) / 2) - dx, row: Math.round((e[1] + e[3]) / 2) - dy };
    this.choose(from.column + dx, from.row + dy);
  }

  gestures() {
    this.canvas.addEventListener('keydown', (event) => this.step(event));
    const down = new Map();
    let moved = 0, apart = 0;
    const spread = () => { const [a, b] = [...down.values()]; return Math.hypot(a.x - b.x, a.y - b.y); };
    this.canvas.addEventListener('pointerdown', (e) => {
      this.canvas.setPointerCapture(e.pointerId);
      down.set(e.pointerId, { x: e.clientX, y: e.clientY });
      moved = 0;
      if (down.size === 2) apart = spread();
    });
    this.canvas.addEventListener('pointermove', (e) => {
      const before = down.get(e.pointerId);
      if (!before) return;
      const dx = e.clientX - before.x, dy = e.clientY - before.y;
      moved += Math.abs(dx) + Math.abs(dy);
      down.set(e.pointerId, { x: e.clientX, y: e.clientY });
      if (down.size === 2) { const now = spread(); this.scale(now / (apart || now)); apart = now; } else if (moved > 8) {
        this.panX += dx * devicePixelRatio; this.panY += dy * devicePixelRatio; this.stale = true;
      }
    });
    const up = (e) => { if (down.delete(e.pointerId) && e.type === 'pointerup' && moved <= 8 && !down.size) this.pick(e.clientX, e.clientY); };
    this.canvas.addEventListener('pointerup', up);
    this.canvas.addEventListener('pointercancel', up);
  }

  scale(by) { this.zoom = Math.min(40, Math.max(1, this.zoom * by)); if (this.zoom === 1) { this.panX = 0; this.panY = 0; } this.stale = true; }
  whole() { this.zoom = 1; this.panX = 0; this.panY = 0; this.stale = true; }
}
customElements.define('wafer-map', WaferMap);
