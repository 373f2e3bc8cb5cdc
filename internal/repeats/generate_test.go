package repeats

import (
	"bufio"
	"io"
	"math/rand/v2"
	"strconv"
	"time"
)

// planted is what a generated log has in it, among traffic in which nothing is wrong.
type planted struct {
	DoubleClicks, Retries, Resubmits, Reruns int
	Lost, Kept, Loops, Chains                int
}

// generator writes a log of a shop, in the combined format or in the JSON that
// docs/repeats.md recommends. Two logs of one seed, size and format are the same.
type generator struct {
	format  Format
	w       *bufio.Writer
	rand    *rand.Rand
	written int64
	now     int64 // in seconds
	visitor int   // the next one's number; each submits from an address of its own
	later   map[int64][]line
	planted planted
	stamp   []byte
}

type line struct {
	visitor int
	agent   int
	request string
	status  int
}

const began = 1_790_000_000 // in September of 2026

var agents = []string{
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
	"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
	"metrics-agent/2.1",
	"GitHub-Hookshot/f4ae1c3",
	"orders-client/1.4",
}

const (
	agentMetrics = 3
	agentHook    = 4
	agentClient  = 5
)

// generate writes at least size bytes, and returns what it planted.
func generate(w io.Writer, format Format, size int64, seed uint64) planted {
	g := &generator{format: format, w: bufio.NewWriterSize(w, 1<<20), rand: rand.New(rand.NewPCG(seed, 1)), now: began, later: make(map[int64][]line)}
	for g.written < size {
		g.second()
	}
	for end := g.now + 60; g.now < end; g.now++ {
		g.due()
	}
	_ = g.w.Flush()
	return g.planted
}

// second is one second of the shop: 40 lines or so, and what was planned for it.
func (g *generator) second() {
	g.stamp = time.Unix(g.now, 0).UTC().AppendFormat(g.stamp[:0], "02/Jan/2006:15:04:05 -0700")
	g.due()
	for range 30 + g.rand.IntN(10) {
		n := g.rand.IntN(50_000)
		g.write(line{n, n % 3, "GET " + pagesOfShop[g.rand.IntN(len(pagesOfShop))] + strconv.Itoa(g.rand.IntN(10_000)), 200})
	}
	for range 2 {
		g.innocent()
	}
	if g.rand.IntN(4) == 0 {
		g.plant()
	}
	if g.now%5 == 0 { // a program that sends the same for ever
		g.write(line{7, agentMetrics, "POST /api/metrics", 204})
	}
	g.now++
}

var pagesOfShop = []string{"/products/", "/products?page=", "/assets/app.js?v=", "/img/p.png?id=", "/category/books/", "/search?q=novel&page="}

func (g *generator) due() {
	g.stamp = time.Unix(g.now, 0).UTC().AppendFormat(g.stamp[:0], "02/Jan/2006:15:04:05 -0700")
	for _, l := range g.later[g.now] {
		g.write(l)
	}
	delete(g.later, g.now)
}

func (g *generator) after(seconds int64, l line) {
	g.later[g.now+seconds] = append(g.later[g.now+seconds], l)
}

func (g *generator) someone() int {
	g.visitor++
	return 100_000 + g.visitor%4_000_000
}

// innocent is somebody who submits something as it should be.
func (g *generator) innocent() {
	who := g.someone()
	agent := who % 3
	say := func(after int64, request string, status int) { g.after(after, line{who, agent, request, status}) }
	switch g.rand.IntN(8) {
	case 0, 1, 2: // Post/Redirect/Get
		say(1, "GET /cart", 200)
		say(1, "POST /contact", 200)
		say(2, "POST /orders", 303)
		say(2, "GET /orders/"+strconv.Itoa(who), 200)
	case 3: // corrected, after a mistake
		say(1, "POST /account", 422)
		say(9, "POST /account", 303)
		say(9, "GET /account", 200)
	case 4: // bought twice, a minute apart... which is somebody's right
		say(1, "POST /orders", 303)
		say(55, "POST /orders", 303)
	case 5: // two things
		say(1, "POST /cart/items/"+strconv.Itoa(who), 303)
		say(2, "POST /cart/items/"+strconv.Itoa(who+1), 303)
	case 6: // sent on by a redirect that keeps the method
		say(1, "POST /feedback", 308)
		say(1, "POST /feedback/", 303)
		say(2, "GET /thanks", 200)
	case 7: // a deletion that leads to the list
		say(1, "DELETE /addresses/"+strconv.Itoa(who), 303)
		say(1, "GET /addresses", 200)
		say(3, "POST /login", 401)
		say(5, "POST /login", 302)
		say(5, "GET /account", 200)
		g.after(2, line{who, agentHook, "POST /hooks/push", 200})
	}
}

// plant is somebody to whom it happens.
func (g *generator) plant() {
	who := g.someone()
	agent, p := who%3, &g.planted
	say := func(after int64, request string, status int) { g.after(after, line{who, agent, request, status}) }
	switch g.rand.IntN(8) {
	case 0:
		say(1, "POST /orders", 303)
		say(1+g.rand.Int64N(2), "POST /orders", 303)
		say(3, "GET /orders/"+strconv.Itoa(who), 200)
		p.DoubleClicks++
	case 1:
		say(1, "POST /contact", 200)
		say(4+g.rand.Int64N(20), "POST /contact", 200)
		p.Retries++
	case 2:
		say(1, "POST /orders", 303)
		say(1, "GET /orders/"+strconv.Itoa(who), 200)
		say(5+g.rand.Int64N(20), "POST /orders", 303)
		p.Resubmits++
	case 3:
		agent = agentClient
		say(1, "POST /v1/orders", 504)
		say(10, "POST /v1/orders", 201)
		p.Reruns++
	case 4:
		say(1, "POST /newsletter", 301)
		say(1, "GET /newsletter/", 200)
		p.Lost++
	case 5:
		say(1, "DELETE /users/"+strconv.Itoa(who), 302)
		say(1, "DELETE /users", 204)
		p.Kept++
	case 6:
		for range 3 {
			say(1, "POST /a", 307)
			say(1, "POST /b", 307)
		}
		p.Loops++
	case 7:
		say(1, "POST /v1/items", 308)
		say(1, "POST /v2/items", 308)
		say(1, "POST /v3/items", 201)
		p.Chains++
	}
}

func (g *generator) write(l line) {
	b := g.w.AvailableBuffer()
	if g.format == JSON {
		b = g.appendJSON(b, l)
	} else {
		b = g.appendCombined(b, l)
	}
	_, _ = g.w.Write(b) // Flush tells what went wrong
	g.written += int64(len(b))
}

func (g *generator) appendCombined(b []byte, l line) []byte {
	b = appendAddress(b, l.visitor)
	b = append(append(append(b, " - - ["...), g.stamp...), `] "`...)
	b = append(append(b, l.request...), ` HTTP/1.1" `...)
	b = strconv.AppendInt(b, int64(l.status), 10)
	b = append(append(b, ` 5123 "https://shop.example/" "`...), agents[l.agent]...)
	return append(b, "\"\n"...)
}

// appendJSON writes what nginx does for the log_format of the page.
func (g *generator) appendJSON(b []byte, l line) []byte {
	at := time.Unix(g.now, 0).UTC()
	b = at.AppendFormat(append(b, `{"time":"`...), "2006-01-02T15:04:05-07:00")
	b = strconv.AppendInt(append(b, `","msec":`...), g.now, 10)
	b = appendAddress(append(b, `.000,"remote_addr":"`...), l.visitor)
	b = append(append(b, `","remote_user":"","scheme":"https","host":"shop.example","request":"`...), l.request...)
	b = strconv.AppendInt(append(b, ` HTTP/1.1","status":`...), int64(l.status), 10)
	b = append(append(b, `,"request_time":0.000,"request_length":512,"http_user_agent":"`...), agents[l.agent]...)
	return append(b, `","sent_http_location":"","http_idempotency_key":""}`+"\n"...)
}

func appendAddress(b []byte, visitor int) []byte {
	b = append(b, "10."...)
	b = strconv.AppendInt(b, int64(visitor>>16), 10)
	b = append(b, '.')
	b = strconv.AppendInt(b, int64(visitor>>8&255), 10)
	b = append(b, '.')
	return strconv.AppendInt(b, int64(visitor&255), 10)
}
