module go-notes

go 1.19

require rdv/tab v0.0.0

replace rdv/tab => ../../interop/go-tab
