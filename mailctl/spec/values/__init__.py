"""The types of single values: one spelling each, checked once, plain text afterwards.

Every value that reaches a rendered file is one of these, so what they accept decides what can be
injected: none accepts a control character, a space where Postfix splits, or `$`.
"""
