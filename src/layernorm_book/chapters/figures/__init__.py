"""The book's pictures, kept out of its notebooks: one module for each subject.

Each function takes the numbers that its chapter has just computed and returns a `Picture`, which a
notebook shows as SVG.
"""
