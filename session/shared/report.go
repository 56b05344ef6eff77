package shared

import (
	"encoding/binary"

	"github.com/zeebo/xxh3"

	"tether/session/identity"
)

// Load is how busy one process keeps one upstream, or several processes together.
type Load struct {
	// Upstream is the UpstreamID of the upstream's name.
	Upstream uint64
	// Tokens are those that the upstream still has to compute, Requests those in flight.
	Tokens, Requests int64
}

// UpstreamID is what stands for the name of an upstream in a Report.
func UpstreamID(name string) uint64 { return xxh3.HashString(name) }

// Limits of a Report.
const (
	// MaxLoads is how many upstreams a report may have.
	MaxLoads = 4096
	// maxFigure bounds the tokens and the requests of a load.
	maxFigure = 1 << 50
	// MaxReport is the length of the longest report in bytes.
	MaxReport = 64 + MaxLoads*(8+2*binary.MaxVarintLen64)
)

// reportVersion begins the text of a report.
const reportVersion = 1

// Report is what a process tells of the load that it has put on upstreams. Unlike batches, reports may be lost: the next one replaces them.
type Report struct {
	// From is the process, a random number for each start. Seq grows with each report of a process.
	From, Seq uint64
	// At is when the report was made, in milliseconds since the start of the process.
	At    int64
	Loads []Load
}

// Append appends the text of a report, without the loads beyond MaxLoads. check tells the session secret, as package snapshot does.
func (r *Report) Append(to []byte, check identity.Key) []byte {
	start := len(to)
	to = binary.LittleEndian.AppendUint64(append(to, reportVersion), check.Hi)
	to = binary.LittleEndian.AppendUint64(to, r.From)
	to = binary.AppendUvarint(binary.AppendUvarint(to, r.Seq), uint64(max(0, r.At)))
	for _, l := range r.Loads[:min(len(r.Loads), MaxLoads)] {
		to = binary.LittleEndian.AppendUint64(to, l.Upstream)
		to = appendFigure(appendFigure(to, l.Tokens), l.Requests)
	}
	return binary.LittleEndian.AppendUint64(to, xxh3.Hash(to[start:]))
}

// Read reads the text of a report. Its error is ErrDamaged, also for a report of another version, or ErrSecret.
func (r *Report) Read(text []byte, check identity.Key) error {
	const head, tail = 17, 8
	if len(text) < head+tail || len(text) > MaxReport || text[0] != reportVersion {
		return ErrDamaged
	}
	body := text[:len(text)-tail]
	if binary.LittleEndian.Uint64(text[len(body):]) != xxh3.Hash(body) {
		return ErrDamaged
	}
	if binary.LittleEndian.Uint64(body[1:]) != check.Hi {
		return ErrSecret
	}
	from := reader{text: body[head:]}
	*r = Report{From: binary.LittleEndian.Uint64(body[9:]), Seq: from.number(), Loads: r.Loads[:0]}
	r.At = int64(from.number() & (1<<62 - 1))
	for len(from.text) > 0 && !from.damaged {
		r.Loads = append(r.Loads, Load{Upstream: from.uint64(), Tokens: from.figure(), Requests: from.figure()})
	}
	if from.damaged || len(r.Loads) > MaxLoads {
		return ErrDamaged
	}
	return nil
}

func appendFigure(to []byte, n int64) []byte {
	return binary.AppendUvarint(to, uint64(min(max(0, n), maxFigure)))
}

func (r *reader) figure() int64 {
	n := r.number()
	if n > maxFigure {
		r.damaged = true
		return 0
	}
	return int64(n)
}
