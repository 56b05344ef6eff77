package proxy

// A stored response lives in the memory of the server that made it. Its id is in the answer that brings it, and in the
// requests that go on with it: what is learned from the one leads the other.

// storedScan finds the id of a response in the answer that brings it: in the member id of a JSON answer, or of the
// member response in the data of a stream's first event. It is shown the body part by part, keeps one name or id of
// it, and looks no further once it knows.
type storedScan struct {
	step   scanStep
	line   int // how much of dataField the line has begun with
	depth  int // of objects and lists
	level  int // depth of the object whose members matter
	wanted int // level of the id
	name   bool
	member scanMember

	text [maxResponseID]byte // the string that is being read, or its beginning
	n    int                 // its length, more than maxResponseID for one that cannot be an id
}

type scanStep uint8

const (
	scanOver scanStep = iota
	atLine            // in what may become dataField
	inLine            // in a line that is no data
	inJSON            // between strings
	inText            // in a string
	inEscape          // behind its backslash
)

// scanMember is the member whose value comes next.
type scanMember uint8

const (
	otherMember scanMember = iota
	idMember
	responseMember
)

// dataField begins the lines of a stream that hold an event's data (WHATWG HTML 9.2.6).
const dataField = "data:"

func (s *storedScan) begin(stream bool) {
	if stream {
		s.step, s.wanted = atLine, 2
		return
	}
	s.step, s.wanted = inJSON, 1
}

// see gives the id once it is complete in what was shown, valid until the next call; nil until then and after.
func (s *storedScan) see(p []byte) (id []byte) {
	for i := 0; i < len(p) && s.step != scanOver; i++ {
		if s.take(p[i]) {
			s.step = scanOver
			return s.text[:s.n]
		}
	}
	return nil
}

// take takes one byte, and reports whether it was the id's last.
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

// field takes a byte from the start of a line of a stream.
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

// sign takes a byte of JSON between strings. What is no object, and the end of the event's first line of data, ends
// the scan.
func (s *storedScan) sign(c byte) {
	switch c {
	case '{':
		if s.depth == s.level && (s.depth == 0 || s.member == responseMember && s.level < s.wanted) {
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
		if s.wanted > 1 {
			s.endLine()
		}
	}
	if s.depth <= 0 && c > ' ' {
		s.step = scanOver
	}
}

// endLine ends a line of data: one without anything in it was a sign of life.
func (s *storedScan) endLine() {
	if s.step = scanOver; s.depth == 0 {
		s.step, s.line = atLine, 0
	}
}

// character takes a byte of a string, and reports whether it ended the id.
func (s *storedScan) character(c byte) (found bool) {
	switch {
	case c == '"':
		s.step = inJSON
		return s.ended()
	case c == '\\':
		s.step, s.n = inEscape, len(s.text)+1 // no id has one
	case s.n < len(s.text):
		s.text[s.n] = c
		s.n++
	default:
		s.n = len(s.text) + 1
	}
	return false
}

// ended takes in a string that is complete.
func (s *storedScan) ended() (found bool) {
	switch {
	case s.depth != s.level:
	case !s.name:
		return s.member == idMember && s.level == s.wanted && s.n > 0 && s.n <= len(s.text)
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
