// Package tracelog writes lines as Rust's tracing does: time, level, target, message, fields.
package tracelog

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

const timeFormat = "2006-01-02T15:04:05.000000Z"

// Logger writes lines of one target, such as "openab::discord". It is safe for concurrent use.
type Logger struct {
	target string
	out    *lockedWriter
}

type lockedWriter struct {
	mutex  sync.Mutex
	writer io.Writer
}

func (w *lockedWriter) line(text string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	_, _ = io.WriteString(w.writer, text+"\n") // a log that cannot be written has nowhere to say so
}

// New returns a logger of target that writes to standard output.
func New(target string) *Logger {
	return &Logger{target, &lockedWriter{writer: os.Stdout}}
}

// Sub returns a logger of the target below this one, writing to the same place.
func (l *Logger) Sub(name string) *Logger {
	return &Logger{l.target + "::" + name, l.out}
}

// Info, Warn and Error write one line; fields are keys and values in turn.
func (l *Logger) Info(message string, fields ...any)  { l.write(" INFO", message, fields) }
func (l *Logger) Warn(message string, fields ...any)  { l.write(" WARN", message, fields) }
func (l *Logger) Error(message string, fields ...any) { l.write("ERROR", message, fields) }

// Raw writes text as it is: what a subprocess printed.
func (l *Logger) Raw(text string) { l.out.line(text) }

func (l *Logger) write(level, message string, fields []any) {
	var line strings.Builder
	fmt.Fprintf(&line, "%s %s %s: %s", time.Now().UTC().Format(timeFormat), level, l.target, message)
	for i := 0; i+1 < len(fields); i += 2 {
		fmt.Fprintf(&line, " %v=%v", fields[i], fields[i+1])
	}
	l.out.line(line.String())
}
