mod rules;
mod simulation;
mod written;
