package audit

import (
	"embed"
	"html/template"
	"io"
)

//go:embed report.html
var reportFile embed.FS

var reportPage = template.Must(template.New("report.html").Funcs(template.FuncMap{"clean": Clean}).ParseFS(reportFile, "report.html"))

// WriteHTML writes r as one page that loads nothing and runs nothing. Texts of
// servers are shown, and never linked.
func (r *Report) WriteHTML(w io.Writer) error {
	return reportPage.Execute(w, map[string]any{"Report": r, "Picture": draw(r), "Height": nodeHeight, "Width": nodeWidth})
}
