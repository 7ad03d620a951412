const { framed, filmstrip, sampleLine } = window.unnoise;
const root = element.querySelector('.strip');
const here = scene(root.dataset.scene);
const MOST = 11;
let places = [], mark = () => {};

function build({ data, T }) {
  const cells = Math.min(MOST, T + 1);
  places = Array.from({ length: cells }, (_, cell) => (cells > 1 ? Math.round(cell / (cells - 1) * T) : 0));
  const rows = data.runs.flatMap(run => here.lanesOf(run).map(({ key, symbol: sign, role }) => ({
    title: [data.runs.length > 1 ? sampleLine(run) : null, make('span', { className: role }, symbol(sign))],
    cells: places.map(place => ({
      picture: framed(run.lanes[key], run.at[place], run),
      name: `${sign} at t = ${run.t[run.kept[run.at[place]]]}`,
      t: place,
    })),
  })));
  const strip = filmstrip(here, rows, 't', places.map(place => String(data.times[place])));
  root.replaceChildren(...strip.nodes);
  ({ mark } = strip);
}

here.on(root, ({ t }, fresh) => {
  if (fresh) build(here);
  let near = 0;
  places.forEach((place, cell) => { if (Math.abs(place - t) < Math.abs(places[near] - t)) near = cell; });
  mark(near);
});
