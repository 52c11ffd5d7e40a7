import type { Assets } from './assets.ts'

/** The frames of the two pages. Neither holds data; the browser's code fills them. */

const STYLES = ['tokens', 'base', 'layout', 'parts'].map((name) => `styles/${name}.css`)

function page(
  { urlOf }: Assets,
  title: string,
  script: string,
  loads: readonly string[],
  sheets: readonly string[],
): string {
  const links = loads.map((file) => `<link rel="modulepreload" href="${urlOf(file)}">`)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="icon" type="image/svg+xml" href="${urlOf('icon.svg')}">
<script src="${urlOf('theme.js')}"></script>
${sheets.map((file) => `<link rel="stylesheet" href="${urlOf(file)}">`).join('\n')}
${links.join('\n')}
<script type="module" src="${urlOf(script)}"></script>
</head>
<body>
<noscript><p>The dashboard needs JavaScript. Everything it shows is also in the HTTP API and in the command <code>knell</code>.</p></noscript>
</body>
</html>
`
}

export function opsPage(assets: Assets): string {
  return page(
    assets,
    'Knell',
    'main.js',
    [...assets.modules, 'vendor/uPlot.esm.js'],
    ['vendor/uPlot.min.css', ...STYLES],
  )
}

export function loginPage(assets: Assets): string {
  return page(assets, 'Knell: log in', 'login.js', [], STYLES)
}
