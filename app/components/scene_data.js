const { bytes, float32, int16 } = window.unnoise;
const here = scene(element.querySelector('[data-scene]').dataset.scene);

function decode(payload) {
  const x0 = Float32Array.from(bytes(payload.x0), v => v / 127.5 - 1);
  const eps = Float32Array.from(int16(payload.eps), v => v / payload.epsScale);
  const schedules = payload.schedules.map(s => ({
    ...s,
    signal: float32(s.signal),
    noise: float32(s.noise),
    unscaledNoise: float32(s.unscaledNoise),
    betas: float32(s.betas),
    snrDecibels: float32(s.snrDecibels),
  }));
  return { ...payload, x0, eps, schedules };
}

const publish = () => { if (props.value) here.publish(decode(props.value)); };
watch('value', publish);
publish();
