package posture

// differences are all there are between the real command and this package over the cases of testdata/audit.
var differences = []difference{}
