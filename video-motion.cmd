@echo off
rem The command line under Windows: video-motion convert clip.mp4
where /q py
if errorlevel 1 (python "%~dp0video-motion" %*) else (py -3 "%~dp0video-motion" %*)
exit /b %errorlevel%
