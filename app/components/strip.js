const { blended, filmstrip, sampleLine } = window.unnoise;
const root = element.querySelector('.strip');
const here = scene(root.dataset.scene);
const CELLS = 11; // t = 0, T/10, …, T
let mark = () => {};

const at = (schedule, cell) => Math.round(cell / (CELLS - 1) * schedule.T);

function build(data) {
  const cells = Array.from({ length: CELLS }, (_, cell) => cell);
  const rows = data.schedules.map(schedule => ({
    title: [sampleLine(schedule), schedule.title],
    cells: cells.map(cell => ({
      picture: blended(data, ...here.coefficients(schedule, at(schedule, cell))),
      name: `${schedule.title}, t = ${at(schedule, cell)}`,
      t: cell / (CELLS - 1) * here.T,
    })),
  }));
  const sameT = data.schedules.every(schedule => schedule.T === here.T);
  const times = cells.map(cell => (sameT ? String(at(here, cell)) : `${cell / (CELLS - 1)}`));
  const strip = filmstrip(here, rows, sameT ? 't' : 't / T', times);
  root.replaceChildren(...strip.nodes);
  ({ mark } = strip);
}

here.on(root, ({ data, t, T }, fresh) => {
  if (fresh) build(data);
  mark(Math.round(t / T * (CELLS - 1)));
});
