// Keeps what scripts of the page receive, in the order in which they asked, for
// the test to compare. Bodies are as bytes where the browser shows them.
window.received = []
{
  const text = (bytes) => Array.from(bytes, (b) => String.fromCharCode(b)).join("")
  const path = (url) => new URL(url, location).pathname
  const begin = (method, url) => {
    const entry = { method: method.toUpperCase(), path: path(url) }
    received.push(entry)
    return (status, url = "", headers = {}, bytes = []) => Object.assign(entry, { status: String(status), at: path(url), headers, body: text(bytes) })
  }

  const fetched = window.fetch
  window.fetch = async (input, init) => {
    const end = begin(init?.method ?? input.method ?? "GET", input.url ?? input)
    const answer = await fetched(input, init).catch((error) => {
      end("none")
      throw error
    })
    const bytes = new Uint8Array(await answer.clone().arrayBuffer())
    end(answer.status, answer.url, Object.fromEntries(answer.headers), bytes)
    return answer
  }

  const { open, send } = XMLHttpRequest.prototype
  XMLHttpRequest.prototype.open = function (method, url, ...rest) {
    this.asked = [method, url]
    return open.call(this, method, url, ...rest)
  }
  XMLHttpRequest.prototype.send = function (body) {
    const end = begin(...this.asked)
    for (const trouble of ["error", "abort", "timeout"]) this.addEventListener(trouble, () => end("none"))
    this.addEventListener("load", () => {
      const lines = this.getAllResponseHeaders().trim().split("\r\n").map((line) => line.split(/: (.*)/, 2))
      end(this.status, this.responseURL, Object.fromEntries(lines), new TextEncoder().encode(this.responseText))
    })
    return send.call(this, body)
  }
}
