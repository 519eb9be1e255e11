/** What the server takes. */
const TYPES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp'];
/** The longest side of a picture that had to be made smaller, in pixels: the first that fits in the limit is taken. */
const SIDES = [2048, 1600, 1200, 800];

/**
 * Makes a picture fit to be sent: as it is if it is small enough, else smaller.
 *
 * @returns the bytes as a Blob
 * @throws {Error} with a sentence for the person who chose it
 */
export async function preparePicture(file, maxBytes) {
  if (!TYPES.includes(file.type)) throw new Error('Only PNG, JPEG, GIF and WebP pictures can be sent.');
  if (file.size <= maxBytes) return file;
  // A GIF may move, and would stop.
  if (file.type !== 'image/gif') {
    for (const side of SIDES) {
      const smaller = await shrink(file, side);
      if (smaller !== undefined && smaller.size <= maxBytes) return smaller;
    }
  }
  throw new Error(`This picture is too large: ${kib(file.size)}, and at most ${kib(maxBytes)} can be sent.`);
}

async function shrink(file, longestSide) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return undefined;
  }
  const scale = Math.min(1, longestSide / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext('2d');
  // JPEG knows no transparency.
  context.fillStyle = '#ffffff';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return new Promise((resolve) => canvas.toBlob((blob) => resolve(blob ?? undefined), 'image/jpeg', 0.85));
}

function kib(bytes) {
  return `${Math.ceil(bytes / 1024).toLocaleString()} KiB`;
}
