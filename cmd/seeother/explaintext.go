package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/seeother/seeother/internal/guide"
	"github.com/seeother/seeother/internal/terminal"
)

// cardProof is what --verify prints and --worked keeps.
type cardProof struct {
	Card     string   `json:"card"`
	Title    string   `json:"title"`
	URL      string   `json:"url,omitempty"`      // of the server that was asked
	Verified string   `json:"verified,omitempty"` // "real nginx 1.26.3" or "mechanism"
	Missing  string   `json:"missing,omitempty"`  // why the mechanism ran and not the product, or nothing did
	Faulty   []string `json:"faulty,omitempty"`
	Mended   []string `json:"mended,omitempty"`
	Shown    bool     `json:"shown"`
	Worked   string   `json:"worked,omitempty"`
	At       string   `json:"at,omitempty"` // RFC 3339, of Worked
	Seeother string   `json:"seeother"`     // its version
}

// cardJSON is a card as --format json has it.
type cardJSON struct {
	ID         string    `json:"id"`
	Title      string    `json:"title"`
	Signature  []string  `json:"signature"`
	Symptom    string    `json:"symptom"`
	Mechanism  string    `json:"mechanism"`
	Fixes      []fixJSON `json:"fixes"`
	Prevent    string    `json:"prevent"`
	Setting    string    `json:"setting"`
	Docs       string    `json:"docs"`
	Affected   string    `json:"affected"`
	Sources    []string  `json:"sources"`
	Issues     []string  `json:"issues"`
	Findings   []string  `json:"findings"`
	Checked    string    `json:"checked"`
	Confidence string    `json:"confidence"`
	Reproduced string    `json:"reproduced_on"` // "nginx", or "mechanism"
	Verify     string    `json:"verify"`        // the command that runs it again
	Asks       bool      `json:"asks_url"`      // whether --verify takes a URL
}

type fixJSON struct {
	Text    string `json:"text"`
	NotWhen string `json:"not_when,omitempty"`
}

func newCardJSON(c guide.Card) cardJSON {
	fixes := make([]fixJSON, len(c.Fixes))
	for i, f := range c.Fixes {
		fixes[i] = fixJSON(f)
	}
	return cardJSON{
		ID: c.ID, Title: c.Title, Signature: c.Signature, Symptom: c.Symptom, Mechanism: c.Mechanism, Fixes: fixes, Prevent: c.Prevent,
		Setting: c.Setting, Docs: c.Docs, Affected: c.Affected, Sources: listed(c.Sources), Issues: listed(c.Issues), Findings: listed(c.Findings),
		Checked: c.Checked, Confidence: string(c.Confidence), Reproduced: reproducedOn(c), Verify: verifyCommand(c), Asks: c.Repro.Ask != nil,
	}
}

// listed is never null in JSON.
func listed(s []string) []string { return append([]string{}, s...) }

func reproducedOn(c guide.Card) string {
	if c.Repro.Real == "" {
		return "mechanism"
	}
	return c.Repro.Real
}

func verifyCommand(c guide.Card) string { return "seeother explain " + c.ID + " --verify" }

func (f *explainFlags) writeList(w io.Writer, cards []guide.Card) error {
	if f.format == formatJSON {
		return writeCardsJSON(w, cards)
	}
	p := newCardPrinter(w)
	width := 0
	for _, c := range cards {
		width = max(width, len(c.ID))
	}
	for _, c := range cards {
		p.line("%s  %s", p.paint(bold, fmt.Sprintf("%-*s", width, c.ID)), c.Title)
	}
	p.line("")
	p.line("%s; seeother explain ID shows one, and seeother explain TEXT finds one", counted(len(cards), "card"))
	return p.w.Flush()
}

// writeCards writes the first card whole, and names the others.
func (f *explainFlags) writeCards(w io.Writer, cards []guide.Card) error {
	if f.format == formatJSON {
		return writeCardsJSON(w, cards)
	}
	p := newCardPrinter(w)
	p.card(cards[0])
	if len(cards) > 1 {
		p.line("")
		p.line("%s", p.paint(bold, "also:"))
		for _, c := range cards[1:] {
			p.line("  seeother explain %s  %s", c.ID, p.paint(faint, c.Title))
		}
	}
	return p.w.Flush()
}

func writeCardsJSON(w io.Writer, cards []guide.Card) error {
	out := make([]cardJSON, len(cards))
	for i, c := range cards {
		out[i] = newCardJSON(c)
	}
	return writeJSON(w, map[string][]cardJSON{"cards": out})
}

func (f *explainFlags) writeStatus(w io.Writer, s guide.Status) error {
	if f.format == formatJSON {
		return writeJSON(w, s)
	}
	p := newCardPrinter(w)
	p.line("%s", p.paint(bold, fmt.Sprintf("%d %s", s.Code, s.Name)))
	p.field("method", s.Method)
	p.field("body", s.Body)
	p.field("caching", s.Caching)
	p.field("use", s.Use)
	p.field("not when", s.NotWhen)
	for i, source := range s.Sources {
		p.field([]string{"sources", ""}[min(i, 1)], source)
	}
	if len(s.Recipes) > 0 {
		p.line("")
	}
	for _, r := range s.Recipes {
		p.line("  %-13s %s", r.Framework, r.Line)
	}
	p.origins(s.Recipes)
	return p.w.Flush()
}

// origins says which recipes were run, and which are from the documentation.
func (p *cardPrinter) origins(recipes []guide.Recipe) {
	var ran, read []string
	for _, r := range recipes {
		switch {
		case strings.HasPrefix(r.Line, "#"): // there is no line, and it says why
		case r.Ran == "":
			read = append(read, r.Framework)
		default:
			ran = append(ran, r.Framework+" "+r.Ran)
		}
	}
	if len(recipes) == 0 {
		return
	}
	p.line("")
	p.field("run", "by a test, as they stand here: "+strings.Join(ran, ", "))
	p.field("not run", "from the documentation: "+strings.Join(read, ", "))
}

func (f *explainFlags) writeProof(w io.Writer, proof cardProof) error {
	if f.format == formatJSON {
		if f.worked != "" {
			return nil // keep writes it, with the answer
		}
		return writeJSON(w, proof)
	}
	p := newCardPrinter(w)
	p.line("%s  %s", p.paint(bold, proof.Card), proof.Title)
	p.line("")
	if proof.Missing != "" && proof.Verified == "" {
		p.line("%s: %s", p.paint(cyan, "not tried"), proof.Missing)
		return p.w.Flush()
	}
	if proof.URL != "" {
		p.asked(proof)
		return p.w.Flush()
	}
	p.beside(proof.Faulty, proof.Mended)
	p.line("")
	if !proof.Shown {
		p.line("%s: it did not happen as the card says", p.paint(red, "not shown"))
		return p.w.Flush()
	}
	p.line("%s %s", p.paint(bold, "verified:"), proof.Verified)
	if proof.Missing != "" {
		p.line("The product itself did not run: %s", proof.Missing)
	}
	return p.w.Flush()
}

// keep writes the answer to a file.
func (f *explainFlags) keep(cmd *cobra.Command, proof cardProof) error {
	proof.Worked, proof.At = f.worked, time.Now().UTC().Format(time.RFC3339)
	file := f.to
	if file == "" {
		file = proof.Card + ".worked.json"
	}
	var text bytes.Buffer
	if err := writeJSON(&text, proof); err != nil {
		return err
	}
	if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil { //nolint:gosec // to be shared; its name is the user's
		return err
	}
	if f.format == formatJSON {
		return writeJSON(cmd.OutOrStdout(), struct {
			File string `json:"file"`
			cardProof
		}{file, proof})
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "kept in %s; nothing was sent\n", file)
	return err
}

// writeJSON writes one object, with < and > as they are, and nothing that a terminal
// would obey.
func writeJSON(w io.Writer, v any) error {
	text, err := terminal.JSON(v, "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// cardPrinter writes for people.
type cardPrinter struct {
	w     *bufio.Writer // its Flush tells what went wrong
	color bool
}

func newCardPrinter(w io.Writer) *cardPrinter { return &cardPrinter{bufio.NewWriter(w), colored(w)} }

func (p *cardPrinter) paint(code, text string) string {
	if !p.color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// line writes one line. What came from servers is made harmless for terminals, as
// our own colours would not be: they stand around it.
func (p *cardPrinter) line(format string, args ...any) {
	_, _ = fmt.Fprintf(p.w, format+"\n", args...) // Flush tells
}

const (
	textWidth  = 96 // of a whole line, in characters
	labelWidth = 12
)

// field writes a label and a text, in lines of textWidth.
func (p *cardPrinter) field(label, text string) {
	if text == "" {
		return
	}
	for i, line := range wrapped(text, textWidth-labelWidth) {
		shown := ""
		if i == 0 {
			shown = label
		}
		p.line("%s%s", p.paint(cyan, fmt.Sprintf("%-*s", labelWidth, shown)), line)
	}
}

func (p *cardPrinter) card(c guide.Card) {
	p.line("%s  %s", p.paint(bold, c.ID), c.Title)
	p.line("")
	p.field("symptom", c.Symptom)
	for i, s := range c.Signature {
		p.field([]string{"signature", ""}[min(i, 1)], s)
	}
	p.field("why", c.Mechanism)
	for i, fix := range c.Fixes {
		text := fix.Text
		if fix.NotWhen != "" {
			text += " Not when: " + strings.TrimSuffix(fix.NotWhen, ".") + "."
		}
		p.field([]string{"mend", ""}[min(i, 1)], "- "+text)
	}
	p.field("seeother", c.Setting)
	p.field("prevent", c.Prevent)
	p.field("affected", c.Affected)
	p.field("confidence", fmt.Sprintf("%s; reproduced on: %s; checked %s", c.Confidence, reproducedOn(c), c.Checked))
	for i, s := range c.Sources {
		p.field([]string{"sources", ""}[min(i, 1)], s)
	}
	p.field("issues", strings.Join(c.Issues, ", "))
	p.field("more", c.Docs)
	verify := verifyCommand(c)
	if c.Repro.Ask != nil {
		verify += " [URL]"
	}
	p.field("see it", verify)
}

// beside writes two columns.
func (p *cardPrinter) beside(faulty, mended []string) {
	width := utf8.RuneCountInString("as it is")
	for _, s := range faulty {
		width = max(width, utf8.RuneCountInString(s))
	}
	width = min(width, textWidth/2)
	p.line("  %s  %s", p.paint(red, fmt.Sprintf("%-*s", width, "as it is")), p.paint(cyan, "mended"))
	for i := range max(len(faulty), len(mended)) {
		left, right := wrapped(lineAt(faulty, i), width), wrapped(lineAt(mended, i), textWidth/2)
		for j := range max(len(left), len(right)) {
			p.line("%s", strings.TrimRight(fmt.Sprintf("  %-*s  %s", width, cleaned(lineAt(left, j)), cleaned(lineAt(right, j))), " "))
		}
	}
}

// asked writes what a server of the user's answered.
func (p *cardPrinter) asked(proof cardProof) {
	for _, s := range proof.Faulty {
		p.line("  %s", cleaned(s))
	}
	p.line("")
	if proof.Shown {
		p.line("%s: %s does what the card says", p.paint(red, "shown"), proof.URL)
		return
	}
	p.line("%s: %s does not do it", p.paint(cyan, "not shown"), proof.URL)
}

func lineAt(s []string, i int) string {
	if i < len(s) {
		return s[i]
	}
	return ""
}

// wrapped breaks a text into lines of at most so many characters, but for addresses,
// which a terminal opens only where they are whole; at blanks where
// there are any.
func wrapped(text string, width int) []string {
	var out []string
	line := ""
	for word := range strings.SplitSeq(text, " ") {
		for utf8.RuneCountInString(word) > width && !strings.HasPrefix(word, "https://") {
			if line != "" {
				out, line = append(out, line), ""
			}
			runes := []rune(word)
			out, word = append(out, string(runes[:width])), string(runes[width:])
		}
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			out, line = append(out, line), word
		}
	}
	return append(out, line)
}
