let last = props.value?.file?.url; // a file that was there at mount was saved already
watch('value', () => {
  const { file, name } = props.value ?? {};
  if (!file?.url || file.url === last) return;
  last = file.url;
  make('a', { href: file.url, download: name }).click();
});
