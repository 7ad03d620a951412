const [link, theme, box] = ['.link', '.theme', '.copied'].map(name => element.querySelector(name));
const [note, field] = [box.querySelector('p'), box.querySelector('input')];
const SHOWN_MS = 2500; // a bare "Copied"; what had to be left out stays until the next click
const TITLE = link.textContent;
let answer = null, hiding = 0;

theme.addEventListener('click', () => document.body.classList.toggle('dark'));

const addressOf = ({ query }) => `${window.location.origin}${window.location.pathname}?${query}`;

link.addEventListener('click', () => {
  const asked = new Promise(resolve => { answer = resolve; });
  copy(asked.then(addressOf)).then(() => true, () => false)
    .then(async copied => show(await asked, copied));
  trigger('asked', window.unnoise.place());
});

// The address comes from Python a moment after the click; a browser that only lets a click write
// to the clipboard is given the promise of it.
async function copy(address) {
  if (window.ClipboardItem && navigator.clipboard?.write) {
    const blob = address.then(text => new Blob([text], { type: 'text/plain' }));
    await navigator.clipboard.write([new window.ClipboardItem({ 'text/plain': blob })]);
  } else {
    const text = await address;
    await navigator.clipboard.writeText(text);
  }
}

function show(value, copied) {
  clearTimeout(hiding);
  link.textContent = copied ? say('Copied') : TITLE;
  note.textContent = [copied ? '' : say('The browser does not let this page copy: here it is.'), value.note].filter(Boolean).join(' ');
  field.hidden = copied;
  field.value = addressOf(value);
  box.hidden = copied && !value.note;
  if (!copied) { field.focus(); field.select(); }
  hiding = setTimeout(() => { link.textContent = TITLE; }, SHOWN_MS);
}

watch('value', () => { if (props.value) answer?.(props.value); });
