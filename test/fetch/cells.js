// Sends cells with fetch, in Node and in Chromium. Cells come from cells_test.go.

function bodyOf(cell) {
  const bytes = new TextEncoder().encode(cell.text);
  switch (cell.body) {
    case "text":
      return cell.text;
    case "replayable":
      return new Blob([bytes]);
    case "stream":
      return new ReadableStream({
        start(controller) {
          controller.enqueue(bytes);
          controller.close();
        },
      });
  }
}

async function sendCell(cell) {
  const body = bodyOf(cell);
  const init = { method: cell.method, headers: cell.headers, cache: "no-store", redirect: cell.mode || "follow", body };
  if (cell.body === "stream") init.duplex = "half";
  try {
    const response = await fetch(cell.url, init);
    await response.arrayBuffer();
    return { status: response.status, url: response.url, redirected: response.redirected };
  } catch (error) {
    return { error: String(error) + (error.cause ? ": " + error.cause : "") };
  }
}

async function sendCells(cells) {
  const results = [];
  for (const cell of cells) results.push(await sendCell(cell));
  return results;
}

function resolveAll(base, locations) {
  return locations.map((location) => {
    try {
      return new URL(location, base).href;
    } catch {
      return "";
    }
  });
}
