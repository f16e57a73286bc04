package storetest

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// LogsUser and LogsPassword are who may use the store of StartLogs.
const LogsUser, LogsPassword = "ir", "logspassword-5c1e"

// logsProgram is a real store of logs that speaks the bulk interface, github.com/VictoriaMetrics/VictoriaLogs, which .ci/run builds.
// The variable names another place for it.
func logsProgram(t testing.TB) string {
	t.Helper()
	if name := os.Getenv("OPENCLAW_IR_LOGS_SERVER"); name != "" {
		return name
	}
	name, err := exec.LookPath("victoria-logs")
	if err != nil {
		t.Skip("no store of logs here: go install github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs@v1.52.2")
	}
	return name
}

// A Logs is a running store of logs.
type Logs struct{ Addr string }

// StartLogs starts one, with a password, that keeps logs of any time.
func StartLogs(t testing.TB) *Logs {
	t.Helper()
	program, dir := logsProgram(t), t.TempDir()
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte(LogsPassword), 0o600); err != nil {
		t.Fatal(err)
	}
	return &Logs{start(t, func(addr string) *exec.Cmd {
		return exec.Command(program, "-httpListenAddr="+addr, "-storageDataPath="+filepath.Join(dir, "data"), "-retentionPeriod=100y", "-futureRetention=100y",
			"-httpAuth.username="+LogsUser, "-httpAuth.password=file://"+password)
	})}
}

// Query returns what matches a query (LogsQL), each log by the names of its fields.
func (l *Logs) Query(t testing.TB, query string) (found []map[string]string) {
	t.Helper()
	l.get(t, "/internal/force_flush", nil) // otherwise what was sent is seen a second later
	response := l.get(t, "/select/logsql/query", url.Values{"query": {query}})
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var log map[string]string
		if err := json.Unmarshal(lines.Bytes(), &log); err != nil {
			t.Fatal(err)
		}
		found = append(found, log)
	}
	if lines.Err() != nil {
		t.Fatal(lines.Err())
	}
	return found
}

func (l *Logs) get(t testing.TB, path string, q url.Values) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr+path+"?"+q.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(LogsUser, LogsPassword)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", path, response.Status)
	}
	return response
}
