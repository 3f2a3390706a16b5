-- A number that another change takes: this file goes when that one comes.
SELECT 1;
