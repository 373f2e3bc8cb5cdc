package audit

import "strconv"

// Sizes of the picture, in pixels.
const (
	nodeWidth  = 300
	nodeHeight = 28
	columnGap  = 110
	rowGap     = 16
	maxColumns = 8
	maxDrawn   = 80 // redirects
	nodeText   = 38 // characters
)

// node is a URL in the picture of the redirects.
type node struct {
	URL, Text string
	X, Y      int
	State     string // "error", "warning" or ""
	col, row  int
	placed    bool
	in        int
	out       []int // edges
}

// arrow is a redirect in the picture.
type arrow struct {
	Label              string
	X1, Y1, X2, Y2     int
	CX1, CY1, CX2, CY2 int // of the curve
	LX, LY             int // of the label
	State              string
	from, to           int
}

// picture is the redirect graph, laid out.
type picture struct {
	Width, Height int
	Nodes         []*node
	Arrows        []*arrow
	Hidden        int // redirects that are not drawn
}

// draw lays out the redirects of a report: a row for each way, a column for each
// hop. Those that findings are about come first.
func draw(r *Report) *picture {
	p := &picture{}
	states := make(map[string]string)
	for _, f := range r.Findings {
		for _, e := range f.Evidence {
			if key := e.Method + " " + e.URL; rank(Severity(states[key])) < rank(f.Severity) && f.Severity != Info {
				states[key] = string(f.Severity)
			}
		}
	}
	index := make(map[string]int)
	at := func(url string) int {
		if i, ok := index[url]; ok {
			return i
		}
		index[url] = len(p.Nodes)
		p.Nodes = append(p.Nodes, &node{URL: url, Text: middle(url, nodeText)})
		return index[url]
	}
	for _, faulty := range []bool{true, false} {
		for _, e := range r.Edges {
			state := states[e.Method+" "+e.From]
			if (state != "") != faulty {
				continue
			}
			if len(p.Arrows) >= maxDrawn {
				p.Hidden++
				continue
			}
			p.arrow(at(e.From), at(e.To), e, state)
		}
	}
	p.place()
	return p
}

func (p *picture) arrow(from, to int, e Edge, state string) {
	label := statusText(e)
	p.Nodes[from].out = append(p.Nodes[from].out, len(p.Arrows))
	p.Nodes[to].in++
	if rank(Severity(state)) > rank(Severity(p.Nodes[from].State)) {
		p.Nodes[from].State = state
	}
	p.Arrows = append(p.Arrows, &arrow{Label: label, State: state, from: from, to: to})
}

// place gives each node a column and a row: first from where nothing leads to,
// then from what is left, which are loops.
func (p *picture) place() {
	row := 0
	for _, loops := range []bool{false, true} {
		for i, n := range p.Nodes {
			if !n.placed && (loops || n.in == 0) {
				row = p.walk(i, row)
			}
		}
	}
	for _, n := range p.Nodes {
		n.X, n.Y = 10+n.col*(nodeWidth+columnGap), 10+n.row*(nodeHeight+rowGap)
		p.Width, p.Height = max(p.Width, n.X+nodeWidth+60), max(p.Height, n.Y+nodeHeight+60)
	}
	for _, a := range p.Arrows {
		a.bend(p.Nodes[a.from], p.Nodes[a.to])
	}
}

// walk places what can be reached from a node, and returns the next free row. The
// stack is its own: a chain may be long.
func (p *picture) walk(start, row int) int {
	type visit struct{ node, col int }
	stack := []visit{{start, 0}}
	for len(stack) > 0 {
		v := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		n := p.Nodes[v.node]
		if n.placed {
			continue
		}
		n.placed, n.col, n.row = true, v.col%maxColumns, row
		more := false
		for _, e := range n.out {
			if to := p.Arrows[e].to; !p.Nodes[to].placed {
				stack = append(stack, visit{to, v.col + 1})
				more = true
			}
		}
		if !more || v.col%maxColumns == maxColumns-1 {
			row++
		}
	}
	return row
}

// bend draws an arrow from the right of a node to the left of another, or round
// about where it leads back.
func (a *arrow) bend(from, to *node) {
	a.X1, a.Y1 = from.X+nodeWidth, from.Y+nodeHeight/2
	a.X2, a.Y2 = to.X-4, to.Y+nodeHeight/2
	a.CX1, a.CY1, a.CX2, a.CY2 = a.X1+columnGap/2, a.Y1, a.X2-columnGap/2, a.Y2
	if to.X <= from.X {
		a.X2, a.Y2 = to.X+nodeWidth/2, to.Y+nodeHeight+4
		a.CX1, a.CY1, a.CX2, a.CY2 = a.X1+60, a.Y1+50, a.X2, a.Y2+50
	}
	a.LX, a.LY = a.X1+8, a.Y1-5
}

func statusText(e Edge) string {
	label := strconv.Itoa(e.Status)
	if e.Method != "GET" {
		label = e.Method + " " + label
	}
	return Clean(label)
}

// middle cuts text in its middle, to at most n characters.
func middle(text string, n int) string {
	runes := []rune(Clean(text))
	if len(runes) <= n {
		return string(runes)
	}
	return string(runes[:n/2]) + "…" + string(runes[len(runes)-n/2+1:])
}
