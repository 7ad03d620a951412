const here = scene(element.querySelector('[data-scene]').dataset.scene);
const publish = () => here.publish(props.value);
watch('value', publish);
publish();
