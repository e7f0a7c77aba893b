@echo off
rem The command line from source, with the pinned Node; sets up what is missing.
node "%~dp0..\scripts\run.mjs" %*
