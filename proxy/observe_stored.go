package proxy

// storedScan finds the id of a stored response in the answer that delivers the response: in id of a JSON answer, or in response.id of
// the data of a stream's first event. The response lives in the memory of the server that made it, and the
// requests that go on with it have the id. The scan is shown the body part by part, keeps one name or id of
// it, and ends once it has the id.
type storedScan struct {
	step   scanStep
	line   int // length of the part of dataField that the line began with
	depth  int // of objects and lists
	level  int // depth of the object whose members matter
	idAt   int // level of the id
	name   bool
	member scanMember

	text [maxResponseID]byte // the present string, or its beginning
	n    int                 // length of that string, more than maxResponseID if it cannot be an id
}

type scanStep uint8

const (
	scanOver scanStep = iota
	atLine            // in what may become dataField
	inLine            // in a line without data
	inJSON            // between strings
	inText            // in a string
	inEscape          // after a backslash in a string
)

// scanMember is the member whose value follows.
type scanMember uint8

const (
	otherMember scanMember = iota
	idMember
	responseMember
)

// dataField begins the lines of a stream that hold an event's data (WHATWG HTML 9.2.6).
const dataField = "data:"

// newStoredScan makes a scan of a stream, or of a JSON answer.
func newStoredScan(stream bool) *storedScan {
	if stream {
		return &storedScan{step: atLine, idAt: 2}
	}
	return &storedScan{step: inJSON, idAt: 1}
}

// see gives the id when p completes it, valid until the next call; nil before and after that.
func (s *storedScan) see(p []byte) (id []byte) {
	for i := 0; i < len(p) && s.step != scanOver; i++ {
		if s.take(p[i]) {
			s.step = scanOver
			return s.text[:s.n]
		}
	}
	return nil
}

// take reads one byte, and reports whether it was the last one of the id.
func (s *storedScan) take(c byte) (found bool) {
	switch s.step {
	case atLine:
		s.field(c)
	case inLine:
		if c == '\n' {
			s.step, s.line = atLine, 0
		}
	case inJSON:
		s.sign(c)
	case inText:
		return s.character(c)
	case inEscape:
		s.step = inText
	}
	return false
}

// field reads a byte at the start of a line of a stream.
func (s *storedScan) field(c byte) {
	switch {
	case c == '\n':
		s.line = 0
	case c != dataField[s.line]:
		s.step = inLine
	default:
		if s.line++; s.line == len(dataField) {
			s.step = inJSON
		}
	}
}

// sign reads a byte of JSON between strings. The scan ends at a value that is no object, and at the end of the event's first line of
// data.
func (s *storedScan) sign(c byte) {
	switch c {
	case '{':
		if s.depth == s.level && (s.depth == 0 || s.member == responseMember && s.level < s.idAt) {
			s.level++
		}
		s.depth++
		s.name = true
	case '[':
		s.depth++
	case '}', ']':
		s.depth--
		s.level = min(s.level, s.depth)
	case ',':
		s.name, s.member = true, otherMember
	case ':':
		s.name = false
	case '"':
		s.step, s.n = inText, 0
	case '\n':
		if s.idAt > 1 {
			s.endLine()
		}
	}
	if s.depth <= 0 && c > ' ' {
		s.step = scanOver
	}
}

// endLine ends a line of data. An empty one was a sign of life, and the next line counts.
func (s *storedScan) endLine() {
	if s.step = scanOver; s.depth == 0 {
		s.step, s.line = atLine, 0
	}
}

// character reads a byte of a string, and reports whether it ended the id.
func (s *storedScan) character(c byte) (found bool) {
	switch {
	case c == '"':
		s.step = inJSON
		return s.ended()
	case c == '\\':
		s.step, s.n = inEscape, len(s.text)+1 // no id has an escape
	case s.n < len(s.text):
		s.text[s.n] = c
		s.n++
	default:
		s.n = len(s.text) + 1
	}
	return false
}

// ended reads a complete string, and reports whether it is the id.
func (s *storedScan) ended() (found bool) {
	switch {
	case s.depth != s.level:
	case !s.name:
		return s.member == idMember && s.level == s.idAt && s.n > 0 && s.n <= len(s.text)
	case s.n > len(s.text):
		s.member = otherMember
	default:
		s.member = memberNamed(s.text[:s.n])
	}
	return false
}

func memberNamed(name []byte) scanMember {
	switch string(name) {
	case "id":
		return idMember
	case "response":
		return responseMember
	}
	return otherMember
}
