/** The parts that all pictures of results have in common. */

export const PAGE_WIDTH = 760;
export const LABEL_X = 16;

/** Colours of both schemes are in the picture itself: it looks right wherever it is shown. */
const STYLE = `
    .page { fill: #ffffff } .ink { fill: #1f2328 } .faint { fill: #59636e } .bar { fill: #9aa4b0 } .ours { fill: #0a6bdc } .variant { fill: #7fb2ee }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117 } .ink { fill: #f0f6fc } .faint { fill: #9198a1 } .bar { fill: #5b6470 } .ours { fill: #4c9dff } .variant { fill: #2c5d99 }
    }
    text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif } .title { font-size: 18px; font-weight: 600 }
    .strong { font-weight: 600 }`;

/**
 * A whole picture.
 *
 * @param label - what it shows, for those who cannot see it; escaped
 * @param style - of what only this picture has
 */
export function page(height: number, label: string, parts: readonly string[], style: string = ''): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${PAGE_WIDTH}" height="${height}" viewBox="0 0 ${PAGE_WIDTH} ${height}" role="img" aria-label="${label}">
  <style>${STYLE}${style}
  </style>
  <rect class="page" width="${PAGE_WIDTH}" height="${height}" rx="6"/>
  ${parts.join('\n  ')}
</svg>
`;
}

export function text(x: number, y: number, style: string, content: string): string {
  return `<text class="${style}" x="${x.toFixed(1)}" y="${y.toFixed(1)}">${escapeXml(content)}</text>`;
}

export function escapeXml(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
