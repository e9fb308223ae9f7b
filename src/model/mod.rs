//! Networks and what feeds them: weights, configuration, tokenizer, preprocessing, catalogue.
