// What the browser-side views share: scenes, decoding, numbers. Loaded once, in the page's head.
//
// A scene is one place t of 0 … T and the data that several views draw there, all of it computed in
// Python: x_0, ε and a table of coefficients per schedule, or the steps of a run. Views subscribe;
// moving t redraws them all in one animation frame and never asks the server.
window.unnoise ??= (() => {
  'use strict';

  const bytes = base64 => Uint8Array.from(atob(base64), c => c.charCodeAt(0));
  const float32 = base64 => new Float32Array(bytes(base64).buffer);
  const int16 = base64 => new Int16Array(bytes(base64).buffer);

  class Scene {
    t = 0;
    T = 0;
    data = null;
    named = false; // whether the page's address says where t stands
    unscaled = false; // the lesson "what if √(1−β_t) is left out?"
    chosen = null; // lanes of a run that a person switched on
    #views = new Set();
    #frame = 0;
    #fresh = false;
    #first = null;
    #kept = new Map();
    #arrived = {}; // settings of an address whose view is not there yet

    // draw(scene, fresh): fresh is true when the data changed and not only t.
    on(element, draw) {
      this.#views.add({ element, draw, seen: false });
      if (this.data) draw(this, true);
    }

    // Calls back when there is data, if there is none yet.
    once(callback) {
      if (!this.data) this.#first = callback;
    }

    // data: whatever the scene's views draw, with its length T and where to start, a share of T.
    publish(data) {
      // A new T keeps the place on the way, not the number.
      this.t = Math.round(data.T * (this.data && this.T ? this.t / this.T : data.start));
      this.T = data.T;
      this.data = data;
      if ('t' in this.#arrived) this.#go();
      this.#request(true);
      this.#first?.();
      this.#first = null;
    }

    // A view's own setting can travel in an address: get() is undefined where it is the default.
    keep(name, get, set) {
      this.#kept.set(name, { get, set });
      this.#take(name);
    }

    // All that a person set in this scene, t among it.
    settings() {
      const values = Object.fromEntries([...this.#kept].map(([name, { get }]) => [name, get()]));
      const moved = this.data && this.T && this.t !== Math.round(this.T * this.data.start);
      return { ...values, t: moved ? this.timeNow() : undefined, ...this.#arrived };
    }

    // Settings of an address, checked by Python.
    arrive(settings) {
      Object.assign(this.#arrived, settings);
      this.named ||= 't' in settings;
      for (const name of this.#kept.keys()) this.#take(name);
      if (this.data && 't' in this.#arrived) { this.#go(); this.#request(false); }
    }

    #take(name) {
      if (!(name in this.#arrived)) return;
      const value = this.#arrived[name];
      delete this.#arrived[name];
      this.#kept.get(name).set(value);
    }

    #go() {
      const { times } = this.data;
      const { t } = this.#arrived;
      const nearest = (best, time, i) => (Math.abs(time - t) < Math.abs(times[best] - t) ? i : best);
      this.t = times ? times.reduce(nearest, 0) : Math.min(t, this.T);
      delete this.#arrived.t;
    }

    seek(t) {
      const next = Math.min(Math.max(0, Math.round(t)), this.T);
      if (next === this.t) return;
      this.t = next;
      this.#request(false);
    }

    leaveOutScaling(on) {
      this.unscaled = Boolean(on);
      this.#request(true);
    }

    showLanes(keys) {
      this.chosen = keys;
      if (this.data) this.#request(true);
    }

    // The timestep, also of a scene of runs.
    timeNow() {
      return this.data?.times ? this.data.times[this.t] : this.t;
    }

    // The lanes that are switched on and that this run has.
    lanesOf(run) {
      const keys = this.chosen ?? this.data.shown;
      return this.data.lanes.filter(({ key }) => keys.includes(key) && run.lanes[key]);
    }

    // The timestep of a schedule whose own T may be shorter or longer than the scene's.
    timeOf(schedule) {
      const t = this.data.normalised ? Math.round(this.t / this.T * schedule.T) : this.t;
      return Math.min(t, schedule.T);
    }

    // x_t = a · x_0 + b · ε
    coefficients(schedule, t) {
      return this.unscaled ? [1, schedule.unscaledNoise[t]] : [schedule.signal[t], schedule.noise[t]];
    }

    #request(fresh) {
      this.#fresh ||= fresh;
      this.#frame ||= requestAnimationFrame(() => this.#draw());
    }

    #draw() {
      const fresh = this.#fresh;
      this.#frame = 0;
      this.#fresh = false;
      for (const view of this.#views) {
        view.seen ||= view.element.isConnected;
        if (view.seen && !view.element.isConnected) this.#views.delete(view); // it was unmounted
        else if (this.data) view.draw(this, fresh);
      }
    }
  }

  const scenes = new Map();
  const scene = name => {
    if (!scenes.has(name)) scenes.set(name, new Scene());
    return scenes.get(name);
  };

  // Draws a · x_0 + b · ε, clipped to [−1, 1] for display. Where `counts` is given, each value is
  // also counted before clipping, in levels of `step` around the middle of the array.
  function paintBlend(image, data, a, b, counts, step) {
    const { x0, eps, channels } = data;
    const pixels = image.data;
    const middle = counts ? counts.length / 2 : 0;
    const last = counts ? counts.length - 1 : 0;
    if (counts) counts.fill(0);
    let target = 0;
    for (let i = 0; i < x0.length; ) {
      for (let channel = 0; channel < channels; channel++, i++) {
        const value = a * x0[i] + b * eps[i];
        pixels[target + channel] = value * 127.5 + 127.5; // a Uint8ClampedArray rounds and clips
        if (counts) {
          const level = Math.floor(value / step + middle);
          counts[level < 0 ? 0 : level > last ? last : level]++;
        }
      }
      if (channels === 1) pixels[target + 1] = pixels[target + 2] = pixels[target];
      pixels[target + 3] = 255;
      target += 4;
    }
  }

  // The same onto a canvas of its own, for pictures that do not follow t.
  function blended(data, a, b) {
    const canvas = element('canvas', { width: data.width, height: data.height });
    const context = canvas.getContext('2d');
    const image = context.createImageData(data.width, data.height);
    paintBlend(image, data, a, b);
    context.putImageData(image, 0, 0);
    return canvas;
  }

  // One frame of a lane, uint8 (frames, H, W, C), onto an ImageData.
  function paintFrame(image, frames, index, channels) {
    const pixels = image.data;
    const size = image.width * image.height;
    let source = index * size * channels;
    for (let target = 0; target < 4 * size; target += 4) {
      pixels[target] = frames[source];
      pixels[target + 1] = frames[channels === 1 ? source : source + 1];
      pixels[target + 2] = frames[channels === 1 ? source : source + 2];
      pixels[target + 3] = 255;
      source += channels;
    }
  }

  // The same as a canvas of its own.
  function framed(frames, index, { width, height, channels }) {
    const canvas = element('canvas', { width, height });
    const context = canvas.getContext('2d');
    const image = context.createImageData(width, height);
    paintFrame(image, frames, index, channels);
    context.putImageData(image, 0, 0);
    return canvas;
  }

  // Rows of pictures, each with a button that takes the scene there. A row: the nodes of its
  // title, and cells of {picture: canvas, name: for a screen reader, t: where a click leads}.
  // One canvas a row, not one a cell: each costs the browser time in every frame of a drag.
  function filmstrip(here, rows, timesTitle, times) {
    const columns = times.map(() => []);
    const lines = rows.map(({ title, cells }) => {
      const { width, height } = cells[0].picture;
      const film = element('canvas', { width: cells.length * width, height });
      film.style.aspectRatio = cells.length;
      film.setAttribute('aria-hidden', 'true'); // the buttons on it have the words
      const context = film.getContext('2d');
      const buttons = cells.map(({ picture, name, t }, cell) => {
        context.drawImage(picture, cell * width, 0);
        const button = element('button', { type: 'button', title: name });
        button.setAttribute('aria-label', say('{0}: go there', name));
        button.addEventListener('click', () => here.seek(t));
        columns[cell].push(button);
        return button;
      });
      return element('div', { className: 'row' }, element('div', { className: 'title' }, ...title),
        element('div', { className: 'film' }, film, element('div', { className: 'cells' }, ...buttons)));
    });
    const labels = times.map((time, cell) => {
      const label = element('div', {}, time);
      columns[cell].push(label);
      return label;
    });
    lines.push(element('div', { className: 'row times' }, element('div', { className: 'title' }, timesTitle),
      element('div', { className: 'cells' }, ...labels)));
    for (const { lastChild } of lines) {
      const cells = lastChild.querySelector('.cells') ?? lastChild;
      cells.style.gridTemplateColumns = `repeat(${times.length}, minmax(0, 1fr))`;
    }
    let near = -1;
    const mark = cell => {
      if (cell === near) return;
      for (const node of columns[near] ?? []) node.classList.remove('near');
      for (const node of columns[cell]) node.classList.add('near');
      near = cell;
    };
    return { nodes: lines, mark };
  }

  // The line that tells a curve from others, in front of its title.
  const sampleLine = ({ colour, cssDash }) => {
    const line = element('i');
    line.style.borderTopColor = `var(${colour})`;
    line.style.borderTopStyle = cssDash;
    return line;
  };

  // A fixed number of places, so that columns keep their width; an exponent where all would be 0.
  const decimal = (value, places = 3) => {
    if (!Number.isFinite(value)) return value > 0 ? '∞' : value < 0 ? '−∞' : '–';
    const tiny = places > 2 && value !== 0 && Math.abs(value) < 0.5 * 10 ** -places;
    const text = tiny ? value.toExponential(1) : value.toFixed(places);
    return text.replace(/^-(?=[0.]*$)/, '').replaceAll('-', '−'); // no “−0.0”
  };

  // element('p', {className: 'x'}, 'text', child …): text is always text, never markup.
  const element = (tag, properties = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), properties);
    node.append(...children.filter(child => child !== null && child !== undefined));
    return node;
  };

  // 'x_{t-1}' → x with a subscript, '^' likewise above; everything else stays text.
  const symbol = source => {
    const node = element('span', { className: 'symbol' });
    for (const part of source.split(/(_\{[^}]*\}|\^\{[^}]*\}|_.|\^.)/u)) {
      if (!part) continue;
      const tag = { _: 'sub', '^': 'sup' }[part[0]];
      if (tag && part.length > 1) node.append(element(tag, {}, part.slice(1).replace(/[{}]/g, '')));
      else node.append(part);
    }
    return node;
  };

  // What a view says, in the language of this server (app/translation.py); values go to {0}, {1} …
  const say = (text, ...values) =>
    (window.unnoiseWords?.[text] ?? text).replace(/\{(\d)\}/g, (place, i) => values[i] ?? place);

  const cssColour = name => getComputedStyle(document.body).getPropertyValue(name).trim();

  // Canvas drawings hold colours, so they are drawn again when the theme changes.
  const onThemeChange = callback => new MutationObserver(callback)
    .observe(document.body, { attributes: true, attributeFilter: ['class'] });

  // A table or code that is wider than a phone is scrolled; by keyboard too, if it can be reached.
  const reachable = () => {
    for (const node of document.querySelectorAll('.prose table, .cm-scroller')) {
      const more = node.scrollWidth > node.clientWidth + 1 || node.scrollHeight > node.clientHeight + 1;
      if (more) node.tabIndex = 0;
      else node.removeAttribute('tabindex');
    }
  };
  let looking = 0;
  const lookLater = () => { looking ||= setTimeout(() => { looking = 0; reachable(); }, 200); };
  new MutationObserver(lookLater).observe(document.documentElement, { childList: true, subtree: true });
  window.addEventListener('resize', lookLater);

  // What a picture shows is told to those who cannot see it when it rests, not at every frame.
  const whenItRests = callback => {
    let waiting = 0;
    return () => { clearTimeout(waiting); waiting = setTimeout(callback, 300); };
  };

  // Gradio's sliders tell of a hand that lets go of the mouse, but not of one at the keyboard.
  const SETTLE_MS = 400; // keys come in bursts
  let settling = 0;
  document.addEventListener('keyup', ({ target, key }) => {
    const slider = target.matches?.('input[aria-label^="range slider for"]');
    if (!slider && !target.matches?.('input[aria-label^="number input for"]')) return;
    if (!(slider ? /^(Arrow|Page|Home|End)/ : /^Enter$/).test(key)) return;
    clearTimeout(settling);
    settling = setTimeout(() => target.dispatchEvent(new PointerEvent('pointerup', { bubbles: true })),
      slider ? SETTLE_MS : 0);
  });

  // -- the page's address -----------------------------------------------------------------------

  // ?tab=reverse&steps=20…: the tab is chosen here, before the page is laid out; what else is named
  // is read in Python, which `Opening` asks for it. Returns the tab whose settings are named.
  function openAddress({ components = [], dependencies = [] } = {}) {
    const query = new URLSearchParams(window.location.search);
    const names = [...query.keys()].filter(name => name !== 'tab' && !name.startsWith('__'));
    const tabs = components.filter(({ type }) => type === 'tabitem').map(({ props }) => props.id);
    const known = tabs.includes(query.get('tab'));
    const tab = known ? query.get('tab') : tabs[0];
    if (known) components.find(({ type }) => type === 'tabs').props.selected = tab;
    if (!names.length && (known || !query.has('tab'))) return null;
    // That tab opens when its settings are there, not with the defaults: `Opening` says when.
    const opening = components.find(({ props }) => props.elem_id === `opening-${tab}`)?.id;
    for (const dependency of dependencies) {
      const { targets } = dependency;
      if (!targets.some(([id, event]) => id === opening && event === 'opened')) continue;
      dependency.targets = targets.filter(([, event]) => event !== 'select' && event !== 'load');
    }
    return tab;
  }
  const linked = openAddress(window.gradio_config);

  // The tab on show, and what its views hold that an address can name.
  function place() {
    const node = [...document.querySelectorAll('[data-place]')]
      .find(candidate => candidate.closest('[role=tabpanel]').getClientRects().length);
    const names = node?.dataset.scenes.split(' ').filter(Boolean) ?? [];
    return { tab: node?.dataset.place, scenes: Object.fromEntries(names.map(name => [name, scene(name).settings()])) };
  }

  return {
    linked, place, scene, bytes, float32, int16, paintBlend, blended, paintFrame, framed, filmstrip, sampleLine, decimal, element, symbol, cssColour, onThemeChange,
    whenItRests, say,
  };
})();
