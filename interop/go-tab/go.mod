module rdv/tab

go 1.19
