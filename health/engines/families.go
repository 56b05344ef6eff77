package engines

import (
	"bytes"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// infos are the lines of cacheInfo of the last page, and what they say. They are most of the bytes that are kept of a page and have most of
// its labels, and they stay the same as long as the process of the server runs.
type infos struct {
	text   []byte
	family *dto.MetricFamily // nil if the page has no such line
}

// families reads whole lines. Lines of cacheInfo that are those of the page before are not read again.
func (p *Page) families(lines []byte) (map[string]*dto.MetricFamily, error) {
	p.info, p.others = p.info[:0], p.others[:0]
	for line := range bytes.Lines(lines) {
		if bytes.HasPrefix(line, []byte(cacheInfo)) {
			p.info = append(p.info, line...)
		} else {
			p.others = append(p.others, line...)
		}
	}
	if !bytes.Equal(p.info, p.last.text) {
		families, err := parse(p.info)
		if err != nil {
			return nil, err
		}
		p.last = infos{bytes.Clone(p.info), families[cacheInfo]}
	}
	families, err := parse(p.others)
	if err != nil {
		return nil, err
	}
	if p.last.family != nil {
		families[cacheInfo] = p.last.family
	}
	return families, nil
}

func parse(lines []byte) (map[string]*dto.MetricFamily, error) {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	return parser.TextToMetricFamilies(bytes.NewReader(lines))
}
