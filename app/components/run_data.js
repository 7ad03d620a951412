const { bytes, float32 } = window.unnoise;
const here = scene(element.querySelector('[data-scene]').dataset.scene);

const each = (record, decode) =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, decode(value)]));

// The moments of all runs, from noise to image (or, of a training, from first to last): one slider
// leads through them, and each run shows the step that it is in at that t.
function decode(payload) {
  const way = payload.rising ? 1 : -1;
  const runs = payload.runs.map(run => ({
    ...run,
    lanes: each(run.lanes, bytes),
    final: bytes(run.final),
    equations: run.equations.map(equation => ({ ...equation, factors: each(equation.factors, float32) })),
    measures: each(run.measures, measure => ({ ...measure, values: float32(measure.values) })),
  }));
  const times = [...new Set(runs.flatMap(run => run.kept.map(index => run.t[index])))].sort((a, b) => way * (a - b));
  for (const run of runs) {
    run.at = times.map(time => Math.max(0, run.kept.findLastIndex(index => way * (run.t[index] - time) <= 0)));
  }
  const [only] = runs;
  const name = payload.rising ? 'step' : 't =';
  const caption = place => (runs.length > 1 || payload.rising ? `${name} ${times[place]}`
    : `${only.kept[only.at[place]] + 1}/${only.steps} · ${name} ${times[place]}`);
  return { ...payload, runs, times, caption, T: times.length - 1 };
}

// A training's film grows while one looks: whoever is at its end stays there, others at their step.
const publish = () => {
  if (!props.value) return;
  const data = decode(props.value);
  const step = here.data && here.t < here.T ? here.timeNow() : Infinity;
  here.publish(data);
  if (data.rising) here.seek(Math.max(0, data.times.findLastIndex(time => time <= step)));
};
watch('value', publish);
publish();
