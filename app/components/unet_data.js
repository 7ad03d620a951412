const { bytes } = window.unnoise;
const here = scene(element.querySelector('[data-scene]').dataset.scene);

const each = (record, decode) =>
  Object.fromEntries(Object.entries(record ?? {}).map(([key, value]) => [key, decode(value)]));

function decode(payload) {
  const times = payload.times ?? [0];
  return {
    ...payload,
    times,
    x: payload.x && bytes(payload.x),
    maps: each(payload.maps, map => ({ ...map, pixels: bytes(map.pixels) })),
    attention: each(payload.attention, part => ({ ...part, weights: bytes(part.weights) })),
    cuts: each(payload.cuts, bytes),
    caption: place => (payload.x ? `t = ${times[place]}` : 'no weights'),
    start: payload.start ?? 0,
    T: times.length - 1,
  };
}

const publish = () => { if (props.value) here.publish(decode(props.value)); };
watch('value', publish);
publish();
